"""Mistakes that users make, and what they are told: each is answered before anything is converted or written.

tests/data/mistakes.txt has what is changed in a parameter file that is right, and the sentence that must come, with the
number of the line; `DATA` has mistakes in files beside it. Errors end `ff-midas`; `ff-check` lists the warnings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile
from tiny_scan import Call, TinyScan

TABLE = Path(__file__).parent / "data" / "mistakes.txt"


@dataclass(frozen=True)
class Mistake:
    """A mistake in a parameter file, or in what it names.

    Parameters
    ----------
    edit : lines in place of those of the same key, or added at the end; "-Key" takes the lines of a key away
    sentence : that must be said; {line} is the number of the last of the new lines
    options : of the command line; RAW stands for the raw file
    prepare : makes files in the folder of the parameter file
    """

    edit: str
    sentence: str
    options: tuple[str, ...] = ("-dataFN", "RAW")
    prepare: Callable[[Path], object] | None = None


def _mask(shape: tuple[int, int]) -> Callable[[Path], object]:
    return lambda folder: tifffile.imwrite(folder / "mask.tif", np.zeros(shape, np.uint8))


def _frames(name: str, shape: tuple[int, ...], location: str = "exchange/data") -> Callable[[Path], object]:
    def write(folder: Path) -> None:
        with h5py.File(folder / name, "w") as file:
            file[location] = np.zeros(shape, np.uint16)

    return write


_NAMES = "RawFolder .\nFileStem scan\nExt .h5\nStartFileNrFirstLayer 7"
_WHERE = "raw file scan_000007.h5 of FileStem, StartFileNrFirstLayer, Padding and Ext is not in RawFolder; "


def _table(title: str) -> dict[str, Mistake]:
    """The mistakes of one part of the table that are in the parameter file alone."""
    text = TABLE.read_text(encoding="utf-8").split(f"# {title}\n")[1].split("\n# ")[0]
    table = {}
    for block in text.strip().split("\n\n"):
        name, *edits, sentence = block.splitlines()
        table[name] = Mistake("\n".join(edit.strip() for edit in edits), sentence.removeprefix("  > "))
    return table


#: mistakes in files that the parameter file or the command line names
DATA = {
    "raw files without a name": Mistake("FileStem scan", "RawFolder Ext StartFileNrFirstLayer are missing", ()),
    "no raw folder": Mistake(f"{_NAMES}\nRawFolder nowhere", "line {line}: RawFolder: nowhere: there is no such", ()),
    "another number": Mistake(_NAMES, f"{_WHERE}there is scan_000001.h5", (), _frames("scan_000001.h5", (2, 8, 8))),
    "another stem": Mistake(_NAMES, f"{_WHERE}no file in ", (), _frames("x_000001.h5", (2, 8, 8))),
    "no HDF5": Mistake(
        "", "broken.h5: cannot be read as HDF5", ("-dataFN", "broken.h5"),
        lambda folder: (folder / "broken.h5").write_bytes(b"no"),
    ),
    "another dataset": Mistake("dataLoc entry/data", "entry/data: no dataset of this name; there is exchange/data"),
    "every frame skipped": Mistake("SkipFrame 180", "scan_000001.h5: has 180 frames, SkipFrame is 180"),
    "a dark of another detector": Mistake(
        "Dark dark.h5", "dark.h5: the dark has frames of (8, 9) pixels, the data have (256, 256)",
        prepare=_frames("dark.h5", (1, 8, 9), "exchange/dark"),
    ),
    "a mask of another detector": Mistake("MaskFN mask.tif", "mask.tif: MaskFN: ", prepare=_mask((8, 9))),
    "seed grains of no form": Mistake(
        "GrainsFile seeds.csv", "seeds.csv, line 1: must be '%NumGrains <number>'",
        prepare=lambda folder: (folder / "seeds.csv").write_text("1 2 3\n"),
    ),
}  # fmt: skip

ERRORS, WARNINGS = {**_table("Errors"), **DATA}, _table("Warnings")


def test_there_are_many() -> None:
    assert len(ERRORS) >= 70 and len(WARNINGS) >= 14


def edited(scan: TinyScan, folder: Path, mistake: Mistake) -> tuple[Path, str]:
    """The parameter file with the mistake, and the sentence with the numbers of its lines."""
    lines = [] if mistake.edit == "*" else scan.parameters.read_text().splitlines()
    new: list[str] = []
    first = 0
    for edit in mistake.edit.replace("*", "# nothing").splitlines():
        name = {"MaxRingRad": "RhoD"}.get(word := edit.split()[0].lstrip("+-"), word)
        old = [line for line in lines if line.split()[0] == name and line not in new]
        if edit.startswith("-"):
            lines = [line for line in lines if line not in old]
            continue
        new.append(edit.lstrip("+"))
        if old and edit.split()[0] == name:
            lines[lines.index(old[0])] = edit
        else:
            lines.append(edit.lstrip("+"))
            alike = [line for line in old if line.split()[:2] == new[-1].split()[:2]] or old
            first = lines.index(alike[0]) + 1 if alike else 0
    path = folder / "ps.txt"
    path.write_text("\n".join([*lines, ""]))
    if mistake.prepare is not None:
        mistake.prepare(folder)
    last = lines.index(new[-1]) + 1 if new else 0
    return path, mistake.sentence.format(line=last, first=first)


@pytest.mark.parametrize("name", ERRORS)
def test_errors_end_the_run_before_it_begins(
    name: str, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = ERRORS[name]
    parameters, sentence = edited(scan, tmp_path, mistake)
    before = sorted(tmp_path.rglob("*"))
    options = [scan.raw if word == "RAW" else word for word in mistake.options]
    assert in_process("ff-midas", "-paramFN", parameters, *options, cwd=tmp_path) == 1
    err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("ff-midas: ")]
    assert any(sentence in line for line in err), "\n".join(err)
    assert "MIDAS.zip" not in "".join(err)
    assert len(err) <= 5, "\n".join(err)  # one for each ring that is wrong
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", WARNINGS)
def test_warnings_are_said(
    name: str, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    mistake = WARNINGS[name]
    parameters, sentence = edited(scan, tmp_path, mistake)
    assert in_process("ff-check", parameters, "-dataFN", scan.raw, cwd=tmp_path) == 0
    said = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warning: ")]
    assert any(sentence in line for line in said), "\n".join(said)
    assert len(said) <= 5, "\n".join(said)
