"""``ff-resolve``: the refined seeds of a layer to grains, each spot with its owner."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from midas.commands.program import ALLOW_PARTIAL, Argument, Program
from midas.runtime.errors import UsageError

if TYPE_CHECKING:
    from midas.formats.layer import Layer
    from midas.parameters import Parameters
    from midas.runtime.result import StageResult
    from midas.stages.grains import GrainTables


def run(values: argparse.Namespace) -> StageResult[GrainTables]:
    """The grains of a layer folder, with the parameters of its archive, or of its paramstest.txt where it has none."""
    from midas.archive import Archive
    from midas.commands.arguments import threads_of
    from midas.commands.holding import hold
    from midas.diagnosis.programs import explained
    from midas.formats.layer import Layer
    from midas.parameters import Parameters
    from midas.stages import grains

    folder = Path(values.folder or ".")
    archives = sorted(folder.glob("*.MIDAS.zip"))
    if len(archives) > 1:
        names = ", ".join(path.name for path in archives)
        raise UsageError(f"holds several archives ({names}); keep one", key="folder", value=folder)
    layer = Layer(folder)
    written = Parameters.read(layer.paramstest, "paramstest")
    tracking = bool(written.for_stage("refinement")["GrainsFile"])
    threads, allow_partial = threads_of(values), values.allowPartial == 1
    hold(folder, values)
    if not archives:
        _check(layer, written)
        result = grains.run(layer, written, threads=threads, track=tracking, allow_partial=allow_partial)
        return _with_sigmas(layer, written, threads, result)
    with Archive(archives[0]) as archive:
        parameters = archive.parameters
    layer = Layer(folder, archives[0], data_file=parameters.for_stage("commands")["dataFN"])
    _check(layer, parameters)
    with explained(layer, parameters, threads):
        result = grains.run(layer, parameters, threads=threads, track=tracking, allow_partial=allow_partial)
    return _with_sigmas(layer, parameters, threads, result)


def _with_sigmas(
    layer: Layer, parameters: Parameters, threads: int, result: StageResult[GrainTables]
) -> StageResult[GrainTables]:
    """The result, with what belongs to it in the folder: how well the grains are known."""
    from midas.calibration.grains import sigma

    sigma.run(layer, parameters, threads=threads)
    return result


def _check(layer: Layer, parameters: Parameters) -> None:
    from midas.calibration.grains import sigma

    sigma.check(layer, parameters)
    if parameters.for_stage("grains")["GrainMerging"] == "legacy":
        reason = "spots have no owners with GrainMerging legacy or LegacyDigits 1: use ff-grains, or GrainMerging spots"
        raise parameters.error("GrainMerging", reason)


PROGRAMS = (
    Program(
        names=("ff-resolve",),
        does=(
            "Give every spot an owner, and make a grain of every refined seed that explains spots which no other one "
            "explains; fit each grain to the spots that it owns. ff-grains and ff-midas do the same unless "
            "GrainMerging is legacy."
        ),
        uses=(
            "Reads what ff-refine left in the layer folder, its archive if there is one, paramstest.txt, hkls.csv and "
            "InputAllExtraInfoFittingAll.csv. Writes Grains.csv, SpotMatrix.csv and GrainIDsKey.csv, and "
            "SpotOwners.csv (whose is which spot), GrainQuality.csv (how sure a grain is), SeedVerdicts.csv (what "
            "became of every seed) and GrainsSigma.csv (how well the numbers of a grain are known)."
        ),
        examples=(
            ("ff-resolve", "of the current folder"),
            ("ff-resolve LayerNr_1 4", "of a layer of ff-midas, with four threads"),
        ),
        arguments=(
            Argument("folder", "layer folder; by default the current one", str, False),
            Argument("nCPUs", "threads; by default every core that the process may use", int, False),
        ),
        options=(ALLOW_PARTIAL,),
        run=run,
    ),
)
