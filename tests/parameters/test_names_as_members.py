"""Names of keys that nothing knows are written into the archive, and must not lead out of it where it is unpacked."""

from __future__ import annotations

import pytest

from midas.parameters import ANALYSIS, Parameters


@pytest.mark.parametrize("name", ["..", ".", "../../x", "/etc/x", "..\\x", ".zarray", ".zgroup"])
def test_names_that_would_lead_elsewhere(name: str) -> None:
    written = [path for path, _ in Parameters.parse(f"Lsd 1000\n{name} 5\nKept 6\n").archive_datasets()]
    assert f"{ANALYSIS}Kept" in written and f"{ANALYSIS}{name}" not in written
    for path in written:
        assert not {"..", ".", ""} & set(path.split("/")) and "\\" not in path and "/.z" not in path
