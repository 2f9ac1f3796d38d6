"""Files that belong together."""

from __future__ import annotations

from pathlib import Path

import pytest

from midas.runtime.errors import OutputError
from midas.runtime.files import write_together


def test_all_files_or_none(tmp_path: Path) -> None:
    """The name of a file that cannot be written leaves the earlier ones of all others; nothing else is left behind."""
    first, new, last = (tmp_path / name for name in ("first", "new", "last"))
    first.write_bytes(b"earlier")
    last.mkdir()
    contents = dict.fromkeys((first, new, last), b"now")
    with pytest.raises(OutputError, match="cannot be written") as error:
        write_together(contents)
    assert "last" in str(error.value)
    assert first.read_bytes() == b"earlier"
    assert sorted(tmp_path.iterdir()) == [first, last]
    last.rmdir()
    write_together(contents)
    assert {path.read_bytes() for path in contents} == {b"now"}
    assert sorted(tmp_path.iterdir()) == sorted(contents)
