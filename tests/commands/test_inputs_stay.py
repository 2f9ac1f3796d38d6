"""No program writes over a file that it was given to read, whatever the name by which it is meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile

Call = Callable[..., int]

LINES = [
    "ff-dark d_1.tif d_1.tif",
    "ff-dark d_1.tif link.tif",
    "ff-dark folder folder/a_2.tif",
    "ff-mask d_1.tif --above 3 -o ./d_1.tif",
    "ff-mask folder/*.tif --above 3 -o folder/a_2.tif",
    "ff-match --state1 a --state2 b --space-group 225 --output a/Grains.csv",
    "ff-match --state1 a --state2 b --space-group 225 --offset-table offsets.csv --output offsets.csv",
    "ff-stitch --layers a b --space-group 225 --beam-thickness 1 --output b/Grains.csv",
    "ff-calibrate d_1.tif -calibrant CeO2 -json d_1.tif",
    "ff-calibrate d_1.tif -mask folder/a_1.tif -figure folder/a_1.tif",
    "AutoCalibrateZarr.py -dataFN d_1.tif -darkFN link.tif -SavePlotsHDF link.tif",
    "MatchGrains list.txt list.txt b/Grains.csv 225 0 0 0 1 0 0 1 0",
    "MatchGrains a/Grains.csv list.txt b/Grains.csv 225 0 0 0 1 0 0 1 0",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Inputs that are good enough up to where the first of them is read."""
    (tmp_path / "folder").mkdir()
    for name in ("d_1.tif", "folder/a_1.tif", "folder/a_2.tif"):
        tifffile.imwrite(tmp_path / name, np.ones((4, 4), "u2"))
    (tmp_path / "link.tif").symlink_to("d_1.tif")
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "Grains.csv").write_text("%NumGrains 0\n")
    (tmp_path / "offsets.csv").write_text("layer,grainID,dx,dy,dz\n")
    (tmp_path / "list.txt").write_text("a/Grains.csv\n")
    return tmp_path


@pytest.mark.parametrize("line", LINES)
def test_inputs_stay(line: str, folder: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    def contents() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    before = contents()
    name, *words = line.split()
    assert in_process(name, *words, cwd=folder) == 2
    assert "is an input, which would be overwritten" in capsys.readouterr().err
    assert contents() == before
