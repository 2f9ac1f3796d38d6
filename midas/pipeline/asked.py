"""The steps that the options of a run ask for, with what each would be given."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from midas.ledger import steps
from midas.ledger.standing import Asked

if TYPE_CHECKING:
    from midas.pipeline.layer_run import LayerRun


def of_frames(run: LayerRun, appended: frozenset[str]) -> Iterator[Asked]:
    """The steps of a layer with frames behind the conversion, in order.

    Parameters
    ----------
    appended : names of files that later passes of the indexing have grown
    """
    if run.options.look:
        yield Asked(steps.first_look(run.layer.look), run.own_parameters)
    yield Asked(steps.HKLS, run.own_parameters)
    if run.options.peak_search:
        yield Asked(steps.PEAKS, run.own_parameters)
    if run.options.peak_search_only:
        return
    yield Asked(steps.MERGE, run.own_parameters)
    yield Asked(steps.RADIUS, run.own_parameters)
    yield Asked(steps.FIT_SETUP, run.own_parameters, {"more_lines": run.paramstest_lines()}, appended)
    yield from of_spots(run, appended)


def of_spots(run: LayerRun, appended: frozenset[str]) -> Iterator[Asked]:
    """The steps from the spots on."""
    track = {"track": run.options.grains_file is not None}
    yield Asked(steps.BINNING, run.binning_parameters)
    yield Asked(steps.INDEXING, run.paramstest, {}, appended)
    yield Asked(steps.REFINEMENT, run.paramstest, {}, appended)
    yield Asked(steps.PROCESS_GRAINS, run.grain_parameters, track, latest=appended)
    if run.measures_spots():
        yield Asked(steps.PULL, run.grain_parameters)
    yield Asked(steps.SIGMA, run.grain_parameters, track)
    groups = {"per_spot_groups": run.options.per_spot_groups != 0}
    yield Asked(steps.CONSOLIDATION, run.own_parameters, groups, latest=appended)
    if run.refines_geometry():
        yield Asked(steps.geometry(run.options.parameter_file), run.own_parameters)
    if run.options.report:
        yield Asked(steps.REPORT, run.own_parameters)


def of_passes(run: LayerRun) -> dict[str, str]:
    """What says how often the spots that are left are indexed again, and which of them, as the ledger keeps it."""
    keys = ("IndexPasses", "GrainMerging", "Completeness", "UniqueCompleteness", "OverAllRingToIndex")
    own = run.grain_parameters().for_stage("pipeline")
    return {"track": repr(run.options.grains_file is not None), **{key: repr(own[key]) for key in keys}}
