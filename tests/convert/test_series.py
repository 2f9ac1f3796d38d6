"""Which files of a folder or pattern are a scan, and that none of them is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from midas.convert.series import whole_series
from midas.convert.sweep import raw_files
from midas.runtime.errors import FormatError


def paths(*names: str) -> list[Path]:
    return [Path("raw") / name for name in names]


def numbered(*numbers: int, stem: str = "gap_", ending: str = ".tif") -> list[Path]:
    return paths(*(f"{stem}{number:05d}{ending}" for number in numbers))


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ((1, 2, 4, 5), "gap_*.tif with the numbers 1 to 5, without 3;"),
        ((2, 4, 8, 10), "2 to 10, without 6;"),
        (tuple(range(1, 40, 2)) + tuple(range(40, 60)), "without 2, 4, 6, 8, 10, 12, 14, 16, 18, 20 ...;"),
    ],
)
def test_a_gap_is_an_error(numbers: tuple[int, ...], missing: str) -> None:
    with pytest.raises(FormatError) as caught:
        whole_series(numbered(*numbers), Path("raw"))
    assert missing in str(caught.value) and str(caught.value).startswith("raw: has ")
    with pytest.raises(FormatError):
        whole_series(numbered(*numbers, ending=".tif.gz"), Path("raw"))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        (numbered(7, 8, 9), ""),
        (numbered(0, 4, 8), "of gap_*.tif go up in steps of 4, 0 to 8"),
        (numbered(20260101, 20260417, 20261231), "do not follow each other"),
        (paths("a.tif", "b.tif"), ""),
        (numbered(1, 2, stem="a_") + numbered(7, 8, stem="b_"), ""),
    ],
)
def test_other_numbers_are_accepted(files: list[Path], says: str, caplog: pytest.LogCaptureFixture) -> None:
    assert whole_series(files, Path("raw")) == files
    assert says in caplog.text and bool(says) == bool(caplog.text)


def test_dark_frames_are_no_frames(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    for name in ("Dark_00001.tif", "dark_00007.tif", "scan_00001.tif", "scan_00002.tif", "darkness_3.txt"):
        (tmp_path / name).touch()
    for first in (tmp_path, tmp_path / "*.tif"):
        assert [path.name for path in raw_files(first, 2, scan=True)] == ["scan_00001.tif", "scan_00002.tif"]
    assert "2 files are dark frames by their names (Dark_00001.tif) and left out" in caplog.text
    assert len(raw_files(tmp_path / "dark_*.tif", 1, scan=True)) == 1
    assert len(raw_files(tmp_path, 1)) == 4  # as darks they may have any numbers
