"""``ff-midas``, ``ff_MIDAS.py``: the whole pipeline."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from midas.commands import machines
from midas.commands.program import GO_ON, Program
from midas.pipeline.options import Options
from midas.runtime.errors import UsageError
from midas.runtime.files import located
from midas.runtime.options import Option, absolute, from_words, options_of
from midas.runtime.parallel import launched_size, thread_count

if TYPE_CHECKING:
    from midas.pipeline.layers import FinishedLayer
    from midas.runtime.result import StageResult


def run(values: argparse.Namespace) -> StageResult[object] | None:
    """Do what the command line says."""
    if values.words and values.words[0] == "status":
        _status(values.words[1:])
        return None
    if values.words:
        return _demo(values)
    cores = machines.cores(values.machineName)
    if cores is not None:
        if launched_size() == 1:
            raise machines.what_to_type(values.machineName, values.nNodes, values.name, values.argv)
        values.nCPUs = values.nCPUs or cores
    options = _options(values)
    options.check_numbers()
    if options.resume is None and (options.batch or submitted()):
        options = replace(options, resume=1)
    if values.reprocess == 1:
        from midas.pipeline import reprocess

        if options.refine_geometry:
            reason = "does not go with -reprocess, which leaves the grains as they are; use ff-geometry"
            raise UsageError(reason, key="-refineGeometry", value=1)
        if options.measure_spots:
            reason = "does not go with -reprocess, which leaves the grains as they are; use ff-pull in the layer folder"
            raise UsageError(reason, key="-measureSpots", value=1)
        return reprocess.run(
            absolute(values.resultFolder or "."),
            threads=options.thread_count,
            per_spot_groups=options.per_spot_groups,
            report=options.report,
        )
    from midas.pipeline import layers

    return layers.run(options, finished=_say_grain_count)


def _status(words: Sequence[str]) -> None:
    """Print what the ledgers of the folders say."""
    from midas.pipeline import status

    for folder in words or ["."]:
        print("\n".join(status.lines(absolute(folder))))


#: what batch systems set in the environment of a job: Slurm, PBS and Torque, LSF, Grid Engine, Cobalt, Flux, OAR
_OF_JOBS = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID", "SGE_TASK_ID", "COBALT_JOBID", "FLUX_JOB_ID", "OAR_JOB_ID")


def submitted() -> bool:
    """Whether this is a job that a batch system runs, and nobody sits at its terminal."""
    return any(os.environ.get(variable) for variable in _OF_JOBS) and not (sys.stdin and sys.stdin.isatty())


#: options that the demonstration takes too
_OF_THE_DEMO = ("-nCPUs", "-resultFolder", "-report")


def _demo(values: argparse.Namespace) -> StageResult[object]:
    from midas.pipeline import demo

    for option in PROGRAMS[0].options:
        given = getattr(values, option.key)
        if option.flag not in _OF_THE_DEMO and given != option.default:
            reason = f"means nothing to the demo, which takes {', '.join(_OF_THE_DEMO)}"
            raise UsageError(reason, key=option.flag, value=given)
    words = values.words[1:]
    if values.resultFolder:
        words = [values.resultFolder, *words[1:]]
    return demo.run(words, thread_count(values.nCPUs), report=values.report == 1)


def _options(values: argparse.Namespace) -> Options:
    """The options of the pipeline; of the keys that mean the same as an option the option wins."""
    from midas.pipeline.user_file import UserFile

    words = dict(vars(values))
    if words["paramFN"]:
        parameter_file = absolute(words["paramFN"])
        keys = UserFile(parameter_file).own
        words["resultFolder"] = words["resultFolder"] or keys.get("ResultFolder", "")
        named = keys.get("GrainsFile", "")
        words["grainsFile"] = words["grainsFile"] or (str(located(named, parameter_file.parent)) if named else "")
    return from_words(Options, words, result_folder=absolute(words["resultFolder"] or "."))


def _say_grain_count(layer: FinishedLayer) -> None:
    """The one line on stdout that scripts wait for."""
    if layer.grain_count is not None:
        print(f"First line of Grains.csv: %NumGrains {layer.grain_count}", flush=True)


#: of scripts for other drivers of the legacy suite, and of its converter, which the driver called itself
_IGNORED = ("-LayerNr", "-numFilesPerScan", "-omegaStep", "-runinfo", "-numPxY", "-numPxZ")

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
            "Ranks of mpirun share the work. A layer that fails does not keep the others from being processed."
        ),
        examples=(
            ("ff-midas demo", "a simulated sample, in midas_demo/"),
            ("ff-midas -paramFN ps.txt -dataFN scan.h5 -nCPUs 16", "one scan"),
            ("ff-midas -dataFN scan.MIDAS.zip -convertFiles 0", "an archive, with its own parameters"),
            ("ff-midas -paramFN ps.txt -dataFN scan.h5 -resume 1", "go on where a run was interrupted"),
            ("ff-midas status LayerNr_1", "what is complete, and what -resume 1 would do again"),
            ("mpirun -n 8 ff-midas -paramFN ps.txt -endLayerNr 5", "five layers, eight ranks"),
        ),
        options=(
            *options_of(Options),
            Option(
                "-machineName", f"one of {', '.join(machines.NAMES)}; a cluster: says what to type there", str, "local"
            ),
            Option("-nNodes", "nodes of the cluster of -machineName; -1 = 1", int, -1),
            Option("-reprocess", "1: merge and consolidate finished layers again", int, 0),
        ),
        newer=(
            "-force",
            "-allowPartial",
            "-perSpotGroups",
            "-measureSpots",
            "-legacyBins",
            "-refineGeometry",
            "-report",
            "-look",
            "-resume",
            "-restartFrom",
            "-darkFN",
            "-dataLoc",
            "-darkLoc",
            "-allowLinks",
        ),
        run=run,
        shared=True,
        ignored=_IGNORED,
        words=("demo", "status"),
        interrupted=GO_ON,
        console="stderr",
    ),
)
