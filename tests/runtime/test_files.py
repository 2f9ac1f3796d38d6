"""Files that belong together."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from midas.runtime.errors import OutputError
from midas.runtime.files import write_atomic, write_together


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


def test_a_pipe_stays_one(tmp_path: Path) -> None:
    """Renaming would put a file in the place of a device; root could do so to /dev/null."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OutputError, match=r"is a device or a pipe, not a file"):
            write_atomic(path, b"content")
    assert stat.S_ISFIFO(pipe.stat().st_mode) and link.is_symlink()
    assert sorted(tmp_path.iterdir()) == [link, pipe]
