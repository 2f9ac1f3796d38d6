"""All command lines: one table of names, arguments and functions, and the way every command starts and ends.

Nothing heavy is imported here, so that ``--help`` answers at once; `midas.commands` holds what a command does.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import math
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any, NoReturn

from midas._version import __version__
from midas.runtime import logs, parallel, streams
from midas.runtime.errors import MidasError, UsageError

log = logging.getLogger("midas.commands.run")  # not __name__, which is __main__ where the launchers start this module


@dataclass(frozen=True)
class Argument:
    """A positional argument.

    Parameters
    ----------
    required : in the short name, and in the legacy names
    """

    name: str
    help: str
    type: type = str
    required: bool = True
    legacy_required: bool | None = None


@dataclass(frozen=True)
class Option:
    """An option with its legacy spelling (one dash) or a modern one (two)."""

    flag: str
    help: str
    type: type = str
    default: Any = None
    count: int | None = None

    @property
    def key(self) -> str:
        return self.flag.lstrip("-").replace("-", "_")


@dataclass(frozen=True)
class Command:
    """One program under its short name and its legacy names.

    Parameters
    ----------
    function : of `midas.commands`
    exact : surplus arguments are an error
    shared : the processes of an MPI run share its work; of another command the first one does all, the others nothing
    """

    short: str
    legacy: tuple[str, ...]
    summary: str
    example: str
    function: str
    arguments: tuple[Argument, ...] = ()
    options: tuple[Option, ...] = ()
    exact: bool = False
    shared: bool = False


_ARCHIVE = Argument("archive", "the scan, a .MIDAS.zip")
_RESULT_FOLDER = Argument(
    "result_folder", "folder of the results; by default the ResultFolder of the archive", str, False
)
_THREADS = Option("--threads", "threads; by default every core that the process may use", int)
_FOLDER = Option("--folder", "folder of the results, where the block arguments are left out")
_BLOCKS = (
    Argument("blockNr", "number of this block, from 0", int, False, True),
    Argument("nBlocks", "number of blocks", int, False, True),
)
_N_CPUS = Argument("nCPUs", "threads", int, False, True)
_SEEDS = (
    Argument("paramfile", "normally paramstest.txt"),
    *_BLOCKS,
    Argument("nSpotsToIndex", "number of lines of SpotsToIndex.csv", int, False, True),
    _N_CPUS,
)

_CONVERT_OPTIONS = (
    Option("-resultFolder", "folder for the archive; created if missing"),
    Option("-paramFN", "parameter file"),
    Option("-dataFN", "raw data file; by default composed from RawFolder, FileStem, the number and Ext", str, ""),
    Option("-darkFN", "file with dark frames; overrides the key Dark", str, ""),
    Option("-dataLoc", "HDF5 dataset of the frames", str, "exchange/data"),
    Option("-darkLoc", "HDF5 dataset of the dark frames", str, "exchange/dark"),
    Option("-numFrameChunks", "frames read at a time; -1 = as many as is good", int, -1),
    Option("-preProcThresh", "threshold above the dark applied now; -1 = off, 0 = only subtract", int, -1),
    Option("-numFilesPerScan", "raw files of one scan", int, 1),
    Option("-LayerNr", "layer", int, 1),
    Option("-numPxY", "detector columns (GE)", int, 2048),
    Option("-numPxZ", "detector rows (GE)", int, 2048),
    Option("-omegaStep", "recorded, not used", float, 0.0),
)

_DRIVER_OPTIONS = (
    Option("-resultFolder", "folder of the results; by default the current one", str, ""),
    Option("-paramFN", "parameter file", str, ""),
    Option("-dataFN", "raw data file, or an archive with -convertFiles 0", str, ""),
    Option("-nCPUs", "threads; by default every core that the process may use", int),
    Option("-machineName", "only 'local' so far; use mpirun on a cluster", str, "local"),
    Option("-nNodes", "accepted for old scripts; use mpirun -n", int, -1),
    Option("-startLayerNr", "first layer", int, 1),
    Option("-endLayerNr", "last layer", int, 1),
    Option("-fileName", "process one file", str, ""),
    Option("-convertFiles", "1: convert raw data; 0: the archive is there", int, 1),
    Option("-doPeakSearch", "1: search peaks; 0: they are there", int, 1),
    Option("-peakSearchOnly", "1: stop after the peak search", int, 0),
    Option("-numFrameChunks", "frames that the conversion reads at a time", int, -1),
    Option("-preProcThresh", "threshold above the dark applied at conversion", int, -1),
    Option("-provideInputAll", "1: start from InputAllExtraInfoFittingAll.csv", int, 0),
    Option("-rawDir", "overrides RawFolder", str, ""),
    Option("-grainsFile", "seed grains (a Grains.csv): find these instead of searching", str, ""),
    Option("-reprocess", "1: merge and consolidate finished layers again", int, 0),
    Option("-batchMode", "1: every file of RawFolder is a layer", int, 0),
    Option("-perSpotGroups", "groups per spot in the HDF5: 1 always, 0 never, -1 up to 5000 spots", int, -1),
    Option("-report", "1: also a web page about the grains", int, 0),
)

COMMANDS = (
    Command("ff-midas", ("ff_MIDAS.py",), "Run the whole pipeline: raw scan in, grain map out.",
            "ff-midas demo                                  simulate a sample and analyse it\n"
            "  ff-midas -paramFN ps.txt -dataFN scan.h5 -nCPUs 16",
            "run_driver", options=_DRIVER_OPTIONS, shared=True),
    Command("ff-convert", ("ffGenerateZipRefactor.py",), "Convert a raw scan to a .MIDAS.zip archive.",
            "ff-convert -resultFolder . -paramFN ps.txt -dataFN scan.h5", "convert", options=_CONVERT_OPTIONS),
    Command("ff-hkls", ("GetHKLListZarr",), "List the reflections of the crystal (hkls.csv).",
            "ff-hkls scan.MIDAS.zip", "hkls",
            (Argument("archive", "the scan, a .MIDAS.zip, or a parameter file"), _RESULT_FOLDER)),
    Command("", ("GetHKLList",), "List the reflections of the crystal (hkls.csv in the current folder).",
            "GetHKLList ps.txt", "hkls_of_parameter_file", (Argument("paramfile", "parameter file"),)),
    Command("ff-peaks", ("PeaksFittingOMPZarrRefactor",), "Find and fit the diffraction peaks of every frame.",
            "mpirun -n 8 ff-peaks scan.MIDAS.zip --folder LayerNr_1\n"
            "  PeaksFittingOMPZarrRefactor scan.MIDAS.zip 0 1 18", "peaks",
            (_ARCHIVE, *_BLOCKS, _N_CPUS, _RESULT_FOLDER,
             Argument("fitPeaks", "0: centroids instead of fits", int, False)), (_THREADS, _FOLDER), shared=True),
    Command("ff-merge", ("MergeOverlappingPeaksAllZarr",), "Merge the peaks of adjacent frames into spots.",
            "ff-merge scan.MIDAS.zip", "merge", (_ARCHIVE, _RESULT_FOLDER), (_THREADS,)),
    Command("ff-radius", ("CalcRadiusAllZarr",), "Give every spot its ring and a grain size.",
            "ff-radius scan.MIDAS.zip", "radius", (_ARCHIVE, _RESULT_FOLDER)),
    Command("ff-setup", ("FitSetupZarr",), "Transform the spots to the laboratory and choose the seeds.",
            "ff-setup scan.MIDAS.zip", "setup", (_ARCHIVE, _RESULT_FOLDER), (_THREADS,)),
    Command("ff-bin", ("SaveBinData",), "Write the binary spot tables and the bins of the legacy indexer.",
            "ff-bin LayerNr_1", "binning",
            (Argument("folder", "layer folder; by default the current one", str, False),), (_THREADS,)),
    Command("ff-index", ("IndexerOMP",), "Find an orientation and position for every seed spot.",
            "mpirun -n 8 ff-index paramstest.txt\n  IndexerOMP paramstest.txt 0 1 1824 18", "index", _SEEDS,
            (_THREADS,), exact=True, shared=True),
    Command("ff-refine", ("FitPosOrStrainsOMP",), "Refine position, orientation and cell of every indexed seed.",
            "mpirun -n 8 ff-refine paramstest.txt\n  FitPosOrStrainsOMP paramstest.txt 0 1 1824 18", "refine", _SEEDS,
            (_THREADS,), exact=True, shared=True),
    Command("ff-grains", ("ProcessGrainsZarr",), "Collect the seeds into grains (Grains.csv, SpotMatrix.csv).",
            "ff-grains scan.MIDAS.zip", "grains",
            (Argument("archive", "the scan, a .MIDAS.zip, or a parameter file"),
             Argument("TrackGrains", "1: every seed is a grain of its own", int, False)), (_THREADS,)),
    Command("", ("ProcessGrains",), "Collect the seeds into grains, parameters from a text file.",
            "ProcessGrains paramstest.txt", "grains_of_parameter_file", (Argument("paramfile", "parameter file"),)),
    Command("ff-simulate", ("ForwardSimulationCompressed",), "Simulate the scan of a list of grains.",
            "ff-simulate Parameters.txt 8", "simulate", (Argument("paramfile", "parameter file"), _N_CPUS), exact=True),
    Command("ff-compare", (), "Compare found grains with the true ones.",
            "ff-compare GrainsSim.csv LayerNr_1/Grains.csv --omega-step 0.25", "compare",
            (Argument("true", "grain list of the simulation"), Argument("found", "Grains.csv of the analysis")),
            (Option("--omega-step", "rotation per frame: the true sample is turned by half of it", float, 0.0),
             Option("--turn-positions", "1: positions too; 0: orientations only, as in the published legacy figures",
                    int, 1),
             Option("--space-group", "symmetry; by default from the header of FOUND", int),
             Option("--lattice", "unstrained cell a b c alpha beta gamma; by default from the header of FOUND", float,
                    None, 6))),
)  # fmt: skip

NAMES = {name: command for command in COMMANDS for name in (command.short, *command.legacy) if name}


#: of the whole numbers on a command line
_LARGEST = 2**31 - 1


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see {self.prog} --help)")


def parser(command: Command, name: str) -> argparse.ArgumentParser:
    """The parser of a command under one of its names; the legacy names insist on all legacy arguments."""
    legacy = name in command.legacy
    others = [other for other in (command.short, *command.legacy) if other and other != name]
    result = _Parser(
        prog=name,
        description=command.summary,
        epilog=f"example:\n  {command.example}" + (f"\n\nalso called {', '.join(others)}" if others else ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for argument in command.arguments:
        required = argument.required if argument.legacy_required is None or not legacy else argument.legacy_required
        result.add_argument(
            argument.name, nargs=None if required else "?", type=_number_or_text(argument.type), help=argument.help
        )
    for option in command.options:
        result.add_argument(
            option.flag,
            dest=option.key,
            type=_number_or_text(option.type),
            default=option.default,
            nargs=option.count,
            help=option.help,
        )
    result.add_argument("-v", "--verbose", action="store_true", help="say more")
    result.add_argument("--version", action="version", version=f"midas {__version__}")
    return result


def _number_or_text(kind: type) -> Callable[[str], Any]:
    def whole(text: str) -> int:
        number = int(text)
        if abs(number) > _LARGEST:
            raise ValueError
        return number

    def finite(text: str) -> float:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError
        return number

    whole.__name__, finite.__name__ = "whole number", "number"
    return {int: whole, float: finite}.get(kind, kind)


def parse(command: Command, name: str, argv: Sequence[str]) -> argparse.Namespace:
    """Arguments of a command line; surplus ones are ignored with a warning unless the count must be exact."""
    values, surplus = parser(command, name).parse_known_args(argv)
    if surplus and (command.exact or (surplus[0].startswith("--") and command.short != "ff-midas")):
        raise UsageError(f"surplus arguments: {' '.join(surplus)} (see {name} --help)")
    values.demo = surplus if command.function == "run_driver" and surplus[:1] == ["demo"] else []
    values.surplus = [] if values.demo else surplus
    return values


def print_table(rows: dict[str, Any]) -> None:
    """The closing table of a command."""
    width = max((len(label) for label in rows), default=0)
    for label, value in rows.items():
        print(f"{label:<{width}}  {value}")


def run(name: str, argv: Sequence[str]) -> int:
    """Run the command called `name`; the exit code. Errors of the user become one line on stderr."""
    command = NAMES[name]
    try:
        values = parse(command, name, argv)
        shared = command.shared and getattr(values, "blockNr", None) is None and not values.demo
        if parallel.launched_rank() == 0 or shared:
            _run(command, values, parallel.communicator() if shared else parallel.SERIAL)
        sys.stdout.flush()
    except MidasError as error:
        return _fail(name, str(error), error.exit_code)
    except MemoryError:
        return _fail(name, "not enough memory", 1)
    except _Ended as ended:
        return _fail(name, f"ended by {ended.signal.name}", 128 + ended.signal)
    except KeyboardInterrupt:
        return _fail(name, "interrupted", 130)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        return _fail(name, f"{place}{error.strerror or error}", 1)
    except Exception:
        # A defect: Python shows it at the end of the process, which ranks that wait for this one would never let come.
        if parallel.launched_size() > 1:
            traceback.print_exc()
            parallel.abort(1)
        raise
    return 0


def _run(command: Command, values: argparse.Namespace, comm: parallel.Communicator) -> None:
    """What one process does; of several, the first one speaks for all."""
    kept = logs.Kept()
    console = logs.driver_stderr() if command.function == "run_driver" else logs.stdout()
    level = logging.DEBUG if values.verbose else logging.INFO
    with logs.attached(kept, level), logs.attached(console) if comm.rank == 0 else nullcontext():
        if values.surplus and comm.rank == 0:
            log.warning("ignored: %s", " ".join(values.surplus))
        result = getattr(importlib.import_module("midas.commands.programs"), command.function)(values)
        everybody = comm.gather((kept.messages[:], {} if result is None else result.summary))
        if everybody is None:
            return
        said, *others = [messages for messages, _ in everybody]
        for message in dict.fromkeys(message for messages in others for message in messages):
            if message not in said:
                log.warning("%s", message)
        print_table(_joined([rows for _, rows in everybody]) if others else everybody[0][1])


def _joined(tables: list[dict[str, Any]]) -> dict[str, Any]:
    """One closing table of those of all ranks: numbers of things add up, anything else is listed."""
    joined: dict[str, Any] = {}
    for label in dict.fromkeys(label for table in tables for label in table):
        values = [table[label] for table in tables if label in table]
        whole = all(isinstance(value, Integral) for value in values)
        joined[label] = sum(values) if whole else ", ".join(dict.fromkeys(map(str, values)))
    return joined


#: seconds that a rank leaves to those before it, which mostly have the same to say and end the run with it
_PATIENCE = 0.5


def _fail(name: str, message: str, code: int) -> int:
    """Say what is wrong, once, and end the other ranks."""
    sys.stdout.flush()
    time.sleep(min(_PATIENCE * parallel.launched_rank(), 5.0))
    print(f"{name}: {' '.join(message.split())}", file=sys.stderr, flush=True)
    parallel.abort(code)
    return code


class _Ended(KeyboardInterrupt):
    """The scheduler of a cluster, or a closed terminal, ends the process: it tidies up as after Ctrl-C."""

    def __init__(self, number: int):
        self.signal = signal.Signals(number)


def _end(number: int, _frame: object) -> NoReturn:
    raise _Ended(number)


def _tidy_up_when_ended() -> None:
    # mpirun sends the same signal to ranks that wait for one that failed, where Python would never handle it.
    for number in (signal.SIGTERM, signal.SIGHUP) if parallel.launched_size() == 1 else ():
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def main() -> NoReturn:
    """Entry of every console script: the name that it was called by says which command it is.

    ``python -m midas NAME ...`` does the same for the launchers in bin/.
    """
    name, argv = Path(sys.argv[0]).name, sys.argv[1:]
    name = name.removesuffix(".exe")
    if name not in NAMES and argv:
        name, argv = argv[0], argv[1:]
    if name not in NAMES:
        print(f"midas: no command is called {name}; there are {', '.join(sorted(NAMES))}", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    output = streams.prepare()
    _tidy_up_when_ended()
    code = run(name, argv)
    if output.error is not None and code == 0:
        code = _fail(name, f"standard output: {output.error.strerror}", 1)
    sys.exit(code)


if __name__ == "__main__":
    main()
