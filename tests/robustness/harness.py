"""The commands with their files, and what a command must do about a damaged one.

See docs/theory/conventions.md#rules-for-every-program.

A command runs in this process, as its console script would run it, in a copy of its inputs; `Outcome` compares the
folder before and after.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from midas.commands.run import run
from midas.parameters import ANALYSIS

from .contents import Contents

ARCHIVE = "scan.MIDAS.zip"
PARAMETERS = "Parameters.txt"
FRAMES = 60
PEAKS = f"Temp/{ARCHIVE}_000020_PS.csv"
PIXELS = f"Temp/{ARCHIVE}_000020_PX.bin"
RESULT = f"Result_StartNr_1_EndNr_{FRAMES}.csv"
RADIUS = f"Radius_StartNr_1_EndNr_{FRAMES}.csv"
EXTRA = "InputAllExtraInfoFittingAll.csv"
REFINED = ("Results/OrientPosFit.bin", "Results/ProcessKey.bin", "Output/FitBest.bin", "Results/Key.bin")
INDEXED = ("Output/IndexBest.bin", "Output/IndexBestFull.bin")
GRAIN_FILES = (
    "GrainIDsKey.csv", "SpotMatrix.csv", "Grains.csv", "SpotOwners.csv", "GrainQuality.csv", "SeedVerdicts.csv",
)  # fmt: skip
SPOT_FILES = ("IDRings.csv", "IDsHash.csv", "SpotsToIndex.csv", "InputAll.csv", "InputAllNoHeader.csv", EXTRA)
SIMULATED = ("hkls.csv", "SpotMatrixGen.csv", "GrainsGen.csv", "sim.analysis.MIDAS.zip")


@dataclass(frozen=True)
class Program:
    """A command line, run in the layer folder.

    Parameters
    ----------
    name : of the command
    arguments : of its line
    inputs : files that it reads, any of which may be damaged
    beside : other files and folders that must be there
    outputs : files that it writes, the last one named last
    removed : outputs that a failed run must not leave behind, because later programs take them for its result
    codes : of its errors
    checks : whether it lists all mistakes of its parameters, each in a line
    variant : what is special about this use of the command
    change : makes the folder fit for it
    rewritten : inputs in whose place a run puts better ones
    """

    name: str
    arguments: tuple[str, ...]
    inputs: tuple[str, ...]
    beside: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    codes: tuple[int, ...] = (1, 2)
    checks: bool = False
    variant: str = ""
    change: Callable[[Path], object] | None = None
    rewritten: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {self.variant}".strip()


def _appended(name: str, *lines: str) -> Callable[[Path], object]:
    """Add lines to a parameter file."""

    def change(folder: Path) -> None:
        with open(folder / name, "a", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)

    return change


def _pixel_overlap(folder: Path) -> None:
    contents = Contents(folder / ARCHIVE)
    contents.set(ANALYSIS + "UsePixelOverlap", np.array([1], "<i4"))
    contents.save()


_BLOCK = ("0", "1", "3", "2")
_SPOT_TABLES = ("InputAll.csv", EXTRA)
_GRAIN_INPUTS = ("SpotsToIndex.csv", *REFINED, "IDsHash.csv", EXTRA)

PROGRAMS = (
    Program("GetHKLListZarr", (ARCHIVE,), (ARCHIVE,), (), ("hkls.csv",), ("hkls.csv",)),
    Program("GetHKLList", (PARAMETERS,), (PARAMETERS,), (), ("hkls.csv",), ("hkls.csv",)),
    Program(
        "PeaksFittingOMPZarrRefactor", (ARCHIVE, "0", "1", "2"), (ARCHIVE, "hkls.csv"), (), (PEAKS, PIXELS),
        codes=(1, 2, 3, 4, 5, 6),
    ),
    Program(
        "MergeOverlappingPeaksAllZarr", (ARCHIVE,), (ARCHIVE, PEAKS), ("Temp",), (RESULT, "MergeMap.csv"),
        (RESULT, "MergeMap.csv"),
    ),
    Program("CalcRadiusAllZarr", (ARCHIVE,), (ARCHIVE, RESULT, "hkls.csv"), (), (RADIUS,), (RADIUS,)),
    Program(
        "FitSetupZarr", (ARCHIVE,), (ARCHIVE, RADIUS, "hkls.csv"), (), (*SPOT_FILES, "paramstest.txt"),
        ("paramstest.txt",),
    ),
    Program(
        "SaveBinData", (), ("paramstest.txt", *_SPOT_TABLES), (),
        ("Spots.bin", "ExtraInfo.bin", "Data.bin", "nData.bin"), ("Data.bin", "nData.bin"),
    ),
    Program(
        "IndexerOMP", ("paramstest.txt", *_BLOCK), ("paramstest.txt", "hkls.csv", "Spots.bin", "SpotsToIndex.csv"),
        ("Output", "Results"), INDEXED,
    ),
    Program(
        "FitPosOrStrainsOMP", ("paramstest.txt", *_BLOCK),
        ("paramstest.txt", "hkls.csv", "ExtraInfo.bin", "SpotsToIndex.csv", *INDEXED), ("Output", "Results"), REFINED,
    ),
    Program(
        "ProcessGrainsZarr", (ARCHIVE,), (ARCHIVE, "paramstest.txt", "hkls.csv", *_GRAIN_INPUTS), (), GRAIN_FILES,
        ("Grains.csv",),
    ),
    Program(
        "ff-resolve", (), (ARCHIVE, "paramstest.txt", "hkls.csv", *_GRAIN_INPUTS), (), GRAIN_FILES, ("Grains.csv",)
    ),
    Program(
        "ff-pull", (ARCHIVE, "1"), (ARCHIVE, "paramstest.txt", "hkls.csv", EXTRA, "Grains.csv", "SpotMatrix.csv"), (),
        ("SpotsMeasured.csv",), rewritten=("Grains.csv",),
    ),
    Program(
        "ProcessGrains", ("paramstest.txt",), ("paramstest.txt", "hkls.csv", *_GRAIN_INPUTS), (), GRAIN_FILES,
        ("Grains.csv",),
    ),
    Program(
        "ForwardSimulationCompressed", (PARAMETERS, "2"), (PARAMETERS, "GrainsSim.csv"), (), SIMULATED,
        ("sim.analysis.MIDAS.zip",),
    ),
    Program(
        "ffGenerateZipRefactor.py", ("-resultFolder", "out", "-paramFN", PARAMETERS, "-dataFN", "raw.h5"),
        (PARAMETERS, "raw.h5"), (), ("out/raw_000001.MIDAS.zip",), (), checks=True,
    ),
    Program(
        "ff-match", ("--state1", "Grains.csv", "--state2", "StitchedGrains.csv", "--space-group", "225"),
        ("Grains.csv", "StitchedGrains.csv"), (), ("MatchedGrains.csv",),
    ),
    Program("ff-dark", ("dark.h5", "dark.tif", "--location", "exchange/dark"), ("dark.h5",), (), ("dark.tif",)),
    Program(
        "ff-mask", ("dark.h5", "--location", "exchange/dark", "--hot", "5", "--add", "mask.tif", "-o", "out.tif"),
        ("dark.h5", "mask.tif"), (), ("out.tif",),
    ),
    Program(
        "ff-update", ("-fn", ARCHIVE, "-keyToUpdate", "exchange/mask", "-updatedValue", "mask.tif"), ("mask.tif",),
        (ARCHIVE,),
    ),
    Program("ff-check", (PARAMETERS, "-dataFN", ARCHIVE), (PARAMETERS, ARCHIVE), checks=True),
    Program("ff-compare", ("GrainsSim.csv", "Grains.csv"), ("GrainsSim.csv", "Grains.csv")),
    Program(
        "ff_MIDAS.py", ("-resultFolder", "run", "-paramFN", PARAMETERS, "-dataFN", ARCHIVE, "-convertFiles", "0"),
        (PARAMETERS, ARCHIVE), (), (), checks=True,
    ),
    # Files that are read only when a key asks for them
    Program(
        "MergeOverlappingPeaksAllZarr", (ARCHIVE,), (PIXELS,), (ARCHIVE, "Temp"), (RESULT, "MergeMap.csv"),
        (RESULT, "MergeMap.csv"), variant="by pixels", change=_pixel_overlap,
    ),
    Program(
        "IndexerOMP", ("paramstest.txt", *_BLOCK), ("Grains.csv",),
        ("paramstest.txt", "hkls.csv", "Spots.bin", "SpotsToIndex.csv", "Output", "Results"), INDEXED,
        variant="of seeds", change=_appended("paramstest.txt", "GrainsFile Grains.csv"),
    ),
    Program(
        "IndexerOMP", ("paramstest.txt", *_BLOCK), ("BigDetectorMask.bin",),
        ("paramstest.txt", "hkls.csv", "Spots.bin", "SpotsToIndex.csv", "Output", "Results"), INDEXED,
        variant="with mask", change=_appended("paramstest.txt", "BigDetSize 256"),
    ),
    Program(
        "FitPosOrStrainsOMP", ("paramstest.txt", *_BLOCK), ("BigDetectorMask.bin",),
        ("paramstest.txt", "hkls.csv", "ExtraInfo.bin", "SpotsToIndex.csv", *INDEXED, "Results"), REFINED,
        variant="with mask", change=_appended("paramstest.txt", "BigDetSize 256"),
    ),
    Program(
        "ForwardSimulationCompressed", (PARAMETERS, "2"), ("intensities.csv", "shifts.csv"),
        (PARAMETERS, "GrainsSim.csv"), SIMULATED, variant="with panels", change=_appended(
            PARAMETERS, "IntensitiesFile intensities.csv", "PanelShiftsFile shifts.csv", "NPanelsY 2", "NPanelsZ 1",
            "PanelSizeY 120", "PanelSizeZ 256", "PanelGapsY 16",
        ),
    ),
    Program(
        "ffGenerateZipRefactor.py", ("-resultFolder", "out", "-paramFN", PARAMETERS, "-dataFN", "raw.h5"),
        ("dark.h5", "mask.tif"), (PARAMETERS, "raw.h5"), ("out/raw_000001.MIDAS.zip",), variant="with mask",
        checks=True, change=_appended(PARAMETERS, "Dark dark.h5", "MaskFN mask.tif"),
    ),
    Program(
        "ffGenerateZipRefactor.py", ("-resultFolder", "out", "-paramFN", PARAMETERS, "-dataFN", "raw.npz"),
        ("raw.npz",), (PARAMETERS,), ("out/raw_000001.MIDAS.zip",), checks=True, variant="sparse",
    ),
    Program(
        "ffGenerateZipRefactor.py", ("-resultFolder", "out", "-paramFN", PARAMETERS, "-dataFN", ARCHIVE), (ARCHIVE,),
        (PARAMETERS,), ("out/scan_000001.MIDAS.zip",), checks=True, variant="again",
    ),
)  # fmt: skip

BY_NAME = {program.name: program for program in reversed(PROGRAMS)}


@dataclass
class Outcome:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str
    before: dict[str, str]
    after: dict[str, str]
    trace: str = ""

    @property
    def changed(self) -> dict[str, str]:
        """Files that are new or have another content."""
        return {name: state for name, state in self.after.items() if self.before.get(name) != state}

    @property
    def removed(self) -> set[str]:
        return self.before.keys() - self.after.keys()

    def must_fail(self, program: Program, *names: str) -> None:
        """The promise to the user: a code, one line that names one of `names`, nothing half-written."""
        self.must_be_clean(program)
        assert self.code in program.codes, f"exit {self.code}: {self.stdout}{self.stderr}"
        if names:
            assert any(name in self.stderr for name in names), self.stderr
        assert self.removed <= set(program.outputs), self.removed
        left = [name for name in self.changed if not name.startswith(("run/", "midas_log/"))]
        assert not left, left

    def must_be_clean(self, program: Program) -> None:
        """What holds for every run, successful or not."""
        assert not self.trace, self.trace
        assert not [name for name in self.after if name.endswith(".part")], list(self.after)
        if self.code == 0:
            assert self.stderr == "" or program.name == "ff_MIDAS.py", self.stderr
        else:
            lines = [line for line in self.stderr.splitlines() if " - MIDAS - " not in line]
            assert len(lines) == 1 or program.checks, self.stderr
            assert lines and all(line.startswith(f"{program.name}: ") for line in lines), self.stderr


#: the fixture `sound`
Sound = Callable[[Program], Outcome]


def snapshot(folder: Path) -> dict[str, str]:
    """Digest of every file below a folder."""
    files = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            digest = hashlib.sha1()
            with open(path, "rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
            files[path.relative_to(folder).as_posix()] = digest.hexdigest()
    return files


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def call(program: Program, folder: Path, *arguments: str) -> Outcome:
    """Run the command in this process; `arguments` in place of its own ones."""
    before = snapshot(folder)
    out, err = io.StringIO(), io.StringIO()
    trace, code = "", 1
    with inside(folder), redirect_stdout(out), redirect_stderr(err), warnings.catch_warnings():
        warnings.simplefilter("error")  # a warning of Python's is noise on the user's stderr
        try:
            code = run(program.name, arguments or program.arguments)
        except Exception:
            trace = traceback.format_exc()
    return Outcome(code, out.getvalue(), err.getvalue(), before, snapshot(folder), trace)


def prepare(program: Program, pristine: Path, folder: Path, *, stale: bool = False) -> Path:
    """A folder with copies of the inputs, and, if `stale`, with outputs of an earlier run."""
    folder.mkdir(exist_ok=True)
    for name in (*program.inputs, *program.beside):
        source, target = pristine / name, folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            target.mkdir(exist_ok=True)
            if name == "Temp":
                shutil.copytree(source, target, dirs_exist_ok=True, copy_function=_link)
        else:
            shutil.copy(source, target)
    if program.change is not None:
        program.change(folder)
    for name in program.outputs if stale else ():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"old")
    return folder


def _link(source: str, target: str) -> None:
    """Share a file with the pristine folder: the commands replace files, they do not write into them."""
    if not os.path.exists(target):
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy(source, target)
