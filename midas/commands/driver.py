"""``ff-midas``, ``ff_MIDAS.py``: the whole pipeline."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import Program
from midas.pipeline.options import Options
from midas.runtime.errors import UsageError
from midas.runtime.options import Option, absolute, from_words, options_of
from midas.runtime.parallel import thread_count

if TYPE_CHECKING:
    from midas.pipeline.layers import FinishedLayer
    from midas.runtime.result import StageResult

#: options of the manual that this version does not carry out, and the value that means "not used"
_NOT_YET = {"fileName": "", "provideInputAll": 0, "batchMode": 0}


def run(values: argparse.Namespace) -> StageResult[object]:
    """Do what the command line says."""
    if values.words:
        from midas.pipeline import demo

        return demo.run(values.words[1:], thread_count(values.nCPUs))
    _refuse_what_is_not_there(values)
    options = _options(values)
    options.check_numbers()
    if values.reprocess == 1:
        from midas.pipeline import reprocess

        return reprocess.run(
            absolute(values.resultFolder or "."),
            threads=options.thread_count,
            per_spot_groups=options.per_spot_groups,
            report=options.report,
        )
    from midas.pipeline import layers

    return layers.run(options, finished=_say_grain_count)


def _refuse_what_is_not_there(values: argparse.Namespace) -> None:
    for name, unused in _NOT_YET.items():
        if getattr(values, name) != unused:
            raise UsageError("this option is not available yet", key=f"-{name}", value=getattr(values, name))
    if values.machineName != "local":
        reason = "only 'local' is available yet; on a cluster start ff-midas with mpirun or srun"
        raise UsageError(reason, key="-machineName", value=values.machineName)


def _options(values: argparse.Namespace) -> Options:
    """The options of the pipeline; of the keys that mean the same as an option the option wins."""
    from midas.pipeline.user_file import UserFile

    words = dict(vars(values))
    if words["paramFN"]:
        parameter_file = absolute(words["paramFN"])
        keys = UserFile(parameter_file).own
        words["resultFolder"] = words["resultFolder"] or keys.get("ResultFolder", "")
        words["grainsFile"] = words["grainsFile"] or _beside(parameter_file, keys.get("GrainsFile", ""))
    return from_words(Options, words, result_folder=absolute(words["resultFolder"] or "."))


def _beside(parameter_file: Path, name: str) -> str:
    """A file that the parameter file names: as it stands, else relative to the folder of the parameter file."""
    if not name or os.path.exists(os.path.expanduser(name)):
        return name
    return str(parameter_file.parent / os.path.expanduser(name))


def _say_grain_count(layer: FinishedLayer) -> None:
    """The one line on stdout that scripts wait for."""
    if layer.grains is not None:
        print(f"First line of Grains.csv: %NumGrains {len(layer.grains)}", flush=True)


PROGRAMS = (
    Program(
        names=("ff-midas", "ff_MIDAS.py"),
        does=(
            "Run the whole pipeline: raw scan in, grain map out. 'ff-midas demo' simulates a small sample, analyses it "
            "and compares what was found with the truth."
        ),
        uses=(
            "Every layer gets a folder LayerNr_<n> in the result folder: Grains.csv is the grain map, "
            "*_consolidated.h5 holds everything, midas_log/ what every stage said. The user's own files are only read. "
            "Ranks of mpirun share the work. -fileName, -provideInputAll, -batchMode and other machines than 'local' "
            "are options of the manual that this version does not carry out yet."
        ),
        examples=(
            ("ff-midas demo", "a simulated sample, in midas_demo/"),
            ("ff-midas -paramFN ps.txt -dataFN scan.h5 -nCPUs 16", "one scan"),
            ("ff-midas -dataFN scan.MIDAS.zip -convertFiles 0", "an archive, with its own parameters"),
            ("mpirun -n 8 ff-midas -paramFN ps.txt -endLayerNr 5", "five layers, eight ranks"),
        ),
        options=(
            *options_of(Options),
            Option("-machineName", "only 'local' so far; use mpirun on a cluster", str, "local"),
            Option("-nNodes", "accepted for old scripts; use mpirun -n", int, -1),
            Option("-fileName", "process one file (not available yet)", str, ""),
            Option("-provideInputAll", "1: start from InputAllExtraInfoFittingAll.csv (not available yet)", int, 0),
            Option("-reprocess", "1: merge and consolidate finished layers again", int, 0),
            Option("-batchMode", "1: every file of RawFolder is a layer (not available yet)", int, 0),
        ),
        run=run,
        shared=True,
        lenient=True,
        words=("demo",),
        console="stderr",
    ),
)
