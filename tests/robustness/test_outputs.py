"""Outputs that cannot be written, and disks that are full: an error, and nothing that looks like a result.

See docs/theory/conventions.md#rules-for-every-program.
"""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from .harness import ARCHIVE, BY_NAME, PARAMETERS, PROGRAMS, REFINED, Program, call, inside, prepare

WRITERS = [program for program in PROGRAMS if program.outputs]
OUTPUTS = [pytest.param(p, name, id=f"{p}-{Path(name).name}") for p in WRITERS for name in p.outputs]


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process can become longer: the system refuses the rest, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores SIGXFSZ
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize(("program", "name"), OUTPUTS)
def test_full_disk(program: Program, name: str, pristine: Path, tmp_path: Path) -> None:
    """The disk is full one byte before the end of an output: this one and the last one of the stage are not there."""
    expected = call(program, prepare(program, pristine, tmp_path / "sound"))
    limit = (tmp_path / "sound" / name).stat().st_size - 1
    folder = prepare(program, pristine, tmp_path / "layer")
    with files_up_to(limit):
        outcome = call(program, folder)
    outcome.must_be_clean(program)
    assert outcome.code in program.codes, outcome.stdout
    assert "File too large" in outcome.stderr
    assert name not in outcome.after
    assert program.outputs[-1] not in outcome.after
    for other, state in outcome.changed.items():
        assert other not in REFINED
        assert expected.after[other] == state, f"{other} is neither complete nor absent"


@pytest.mark.parametrize("name", REFINED)
def test_full_disk_for_one_block_of_several(name: str, pristine: Path, tmp_path: Path) -> None:
    """The files are shared with the other blocks: a seed has a key only when the rest of it is there."""
    program = BY_NAME["FitPosOrStrainsOMP"]
    call(program, prepare(program, pristine, tmp_path / "sound"))
    limit = (tmp_path / "sound" / name).stat().st_size - 1
    folder = prepare(program, pristine, tmp_path / "layer")
    first = ("paramstest.txt", "0", "2", "3", "2")
    assert call(program, folder, *first).code == 0
    with files_up_to(limit):
        outcome = call(program, folder, "paramstest.txt", "1", "2", "3", "2")
    outcome.must_be_clean(program)
    assert outcome.code == 1
    key = np.fromfile(folder / REFINED[-1], "<i4")
    assert key[:4].reshape(2, 2).all(), "the other block's seeds"
    assert not key[4:6].any(), "the seed that could not be written"


@pytest.mark.parametrize("program", WRITERS, ids=str)
def test_full_from_the_start(program: Program, pristine: Path, tmp_path: Path) -> None:
    folder = prepare(program, pristine, tmp_path / "layer", stale=True)
    with files_up_to(0):
        outcome = call(program, folder)
    outcome.must_be_clean(program)
    assert outcome.code in program.codes, outcome.stdout
    assert not outcome.changed


@pytest.mark.parametrize(("program", "name"), [case for case in OUTPUTS if "zip" not in str(case.id)])
def test_a_folder_has_the_name_of_an_output(program: Program, name: str, pristine: Path, tmp_path: Path) -> None:
    folder = prepare(program, pristine, tmp_path / "layer")
    (folder / name / "inside").mkdir(parents=True)
    outcome = call(program, folder)
    outcome.must_be_clean(program)
    assert outcome.code in program.codes, outcome.stdout
    assert Path(name).name in outcome.stderr
    assert (folder / name / "inside").is_dir()
    if name != program.outputs[-1]:
        assert program.outputs[-1] not in outcome.after


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("GetHKLListZarr", (ARCHIVE, f"{ARCHIVE}/below")),
        ("PeaksFittingOMPZarrRefactor", (ARCHIVE, "0", "1", "2", f"{ARCHIVE}/below")),
        ("MergeOverlappingPeaksAllZarr", (ARCHIVE, f"{ARCHIVE}/below")),
        ("CalcRadiusAllZarr", (ARCHIVE, f"{ARCHIVE}/below")),
        ("FitSetupZarr", (ARCHIVE, f"{ARCHIVE}/below")),
        ("SaveBinData", ("paramstest.txt",)),
        ("ffGenerateZipRefactor.py", ("-resultFolder", "raw.h5/below", "-paramFN", PARAMETERS, "-dataFN", "raw.h5")),
        (
            "ff_MIDAS.py",
            ("-resultFolder", f"{ARCHIVE}/x", "-paramFN", PARAMETERS, "-dataFN", ARCHIVE, "-convertFiles", "0"),
        ),
    ],
)
def test_result_folder_below_a_file(program: str, arguments: tuple[str, ...], pristine: Path, tmp_path: Path) -> None:
    """Like a folder that may not be written to; as root every folder may."""
    folder = prepare(BY_NAME[program], pristine, tmp_path / "layer")
    call(BY_NAME[program], folder, *arguments).must_fail(BY_NAME[program])


@pytest.mark.parametrize("program", ["IndexerOMP", "FitPosOrStrainsOMP"])
@pytest.mark.parametrize("key", ["OutputFolder", "ResultFolder"])
def test_folders_of_paramstest_that_cannot_be(program: str, key: str, pristine: Path, tmp_path: Path) -> None:
    folder = prepare(BY_NAME[program], pristine, tmp_path / "layer")
    path = folder / "paramstest.txt"
    lines = [f"{key} ./hkls.csv/below" if line.startswith(key) else line for line in path.read_text().splitlines()]
    path.write_text("\n".join(lines))
    outcome = call(BY_NAME[program], folder)
    outcome.must_be_clean(BY_NAME[program])
    if (program, key) == ("IndexerOMP", "ResultFolder"):
        assert outcome.code == 0  # not needed there
    else:
        outcome.must_fail(BY_NAME[program], "hkls.csv/below", "hkls.csv/Spots.bin", "hkls.csv/ExtraInfo.bin")


def test_inputs_that_may_only_be_read(pristine: Path, tmp_path: Path) -> None:
    """Read-only inputs serve as well as others, and stay as they are."""
    for program in PROGRAMS:
        folder = prepare(program, pristine, tmp_path / str(program))
        for path in folder.rglob("*"):
            if path.is_file() and path.parent.name != "Temp":
                path.chmod(0o444)
        outcome = call(program, folder)
        assert outcome.code == 0, outcome.stderr
        for name in program.inputs:
            if name not in program.outputs + program.rewritten:
                assert outcome.before[name] == outcome.after[name], f"{program} changed {name}"


def test_an_archive_survives_a_full_disk(pristine: Path, tmp_path: Path) -> None:
    """The driver writes into its own copy of the archive, and a failed update leaves the old content readable."""
    from midas.archive import Archive, set_dataset
    from midas.parameters import ANALYSIS
    from midas.runtime.errors import MidasError

    path = tmp_path / ARCHIVE
    shutil.copy(pristine / ARCHIVE, path)
    size = path.stat().st_size
    with inside(tmp_path), files_up_to(size + 40), pytest.raises((MidasError, OSError)):
        set_dataset(path, ANALYSIS + "ResultFolder", np.array([b"/elsewhere/"]))
    with Archive(path) as archive:
        assert archive.parameters["ResultFolder"] == "."
    assert os.listdir(tmp_path) == [ARCHIVE]
