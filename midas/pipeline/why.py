"""What the driver says about a layer without grains, or with few (docs/theory/diagnosis.md#failures)."""

from __future__ import annotations

import logging
from collections.abc import Collection
from typing import TYPE_CHECKING

from midas.runtime.errors import MidasError, NothingFoundError
from midas.runtime.files import remove, write_atomic
from midas.runtime.named_paths import make_subfolder

if TYPE_CHECKING:
    from midas.diagnosis.failure import Diagnosis
    from midas.pipeline.layer_run import LayerRun
    from midas.results.tables.sources import LayerTables

log = logging.getLogger(__name__)


def nothing(run: LayerRun, error: NothingFoundError) -> str:
    """The reason why a layer failed, with the cause that its numbers tell."""
    if run.comm.rank:
        return str(error)
    found = _diagnosis(run)
    return str(error) if found is None else f"{error.nothing}: {found.causes[0]} (numbers: {run.layer.diagnosis})"


def little(run: LayerRun, tables: LayerTables) -> str:
    """A warning when the grains explain little of what is there, or lie at an edge; "" where all is well."""
    from midas.diagnosis.edges import at_the_edge
    from midas.experiment.explained import explained_spots

    if tables.grains is None or tables.spot_matrix is None or tables.extra_info is None or run.options.grains_file:
        return ""
    explained = explained_spots(tables.extra_info, tables.spot_matrix.integers("SpotID"))
    if len(tables.grains) and not explained.is_little:
        text = at_the_edge(run.layer, run.parameters, tables.grains)
        if text:
            log.warning("%s", text)
        return text
    found = _diagnosis(run, among=explained.alone.tolist() if len(tables.grains) else ())
    if found is None:
        return ""
    grains = "1 grain explains" if len(tables.grains) == 1 else f"{len(tables.grains)} grains explain"
    text = f"{grains} {100 * explained.share:.0f} % of the {explained.strong} strong spots: {found.causes[0]}"
    log.warning("%s (numbers: %s)", text, run.layer.diagnosis)
    return text


def forget(run: LayerRun) -> None:
    """What an earlier run said of the layer."""
    if run.comm.rank == 0:
        remove(run.layer.diagnosis)


def _diagnosis(run: LayerRun, among: Collection[int] = ()) -> Diagnosis | None:
    """The diagnosis, on the console and in its file; None where the files do not allow one."""
    from midas.diagnosis.failure import diagnose

    steps = reversed(run.steps.counts.values())  # what the first pass found, not a later one
    counts = {label: number for step in steps for label, number in step.items()}
    try:
        found = diagnose(
            run.layer,
            run.parameters,
            run.threads,
            completeness_key=_completeness_key(run),
            among=among,
            counts=counts,
        )
        make_subfolder(run.layer.logs)
        write_atomic(run.layer.diagnosis, found.text().encode())
    except MidasError as error:
        log.info("no diagnosis: %s", error)
        return None
    found.say()
    return found


def _completeness_key(run: LayerRun) -> str:
    """What the user calls the limit of the completeness."""
    user_file = run.options.user_file
    legacy = "MinMatchesToAcceptFrac"
    return legacy if user_file is not None and user_file.lines(legacy) else "Completeness"
