"""The pipeline: layers times stages in one process.

Under MPI the stages that share their work run on every rank and read their input from the files; the others run on
rank 0.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING

from midas.pipeline import inputs, summary, why
from midas.pipeline.options import Options
from midas.pipeline.plan import LayerPlan, plans
from midas.pipeline.summary import FinishedLayer
from midas.runtime import logs
from midas.runtime.errors import IncompleteError, MidasError, NothingFoundError, StageError
from midas.runtime.locks import folder_lock
from midas.runtime.parallel import Communicator, PeerError, Team, communicator
from midas.runtime.result import StageResult

if TYPE_CHECKING:
    from midas.pipeline.layer_run import LayerRun

log = logging.getLogger(__name__)

#: who holds the folder of a layer, for another run to read
_PROGRAM = "ff-midas"


__all__ = ["FinishedLayer", "run"]


def run(
    options: Options,
    *,
    comm: Communicator | None = None,
    finished: Callable[[FinishedLayer], object] | None = None,
) -> StageResult[list[FinishedLayer]]:
    """Process the layers one after the other; one that fails does not keep the others from being processed.

    Parameters
    ----------
    comm : the processes that share the work; those of the MPI run by default
    finished : is called with every layer that is done

    Returns
    -------
    StageResult whose data is the list of `FinishedLayer`

    Raises
    ------
    StageError : the only layer failed
    IncompleteError : one or more of several layers failed; its `result` holds the others
    """
    options = options.checked()
    comm = communicator() if comm is None else comm
    said = logs.Kept()
    with logs.one_run(), logs.attached(said):
        planned = plans(options)
        inputs.check(options, planned)
        done, failed = _all_layers(options, planned, comm, finished, said.messages)
    result = StageResult("midas", {} if comm.rank else summary.rows(options, done, failed), done)
    if failed and len(planned) > 1:
        reasons = "; ".join(f"layer {number}: {reason}" for number, reason in failed.items())
        raise IncompleteError(f"{len(failed)} of {len(planned)} layers failed: {reasons}", result)
    if failed:
        raise StageError("".join(f"layer {number}: {reason}" for number, reason in failed.items()))
    if comm.rank == 0:
        _say_end(done)
    return result


def _say_end(done: list[FinishedLayer]) -> None:
    """The last message: a layer without grains is no success; why stands in the closing table."""
    empty = [str(layer.number) for layer in done if layer.grain_count == 0]
    if empty:
        log.warning("All layers processed, but there are 0 grains in layer %s; the table says why", ", ".join(empty))
    else:
        log.info("All layers processed successfully")


def _all_layers(
    options: Options,
    planned: list[LayerPlan],
    comm: Communicator,
    finished: Callable[[FinishedLayer], object] | None,
    said: list[str],
) -> tuple[list[FinishedLayer], dict[int, str]]:
    """The layers that are done, and why the others are not."""
    done: list[FinishedLayer] = []
    failed: dict[int, str] = {}
    started, of_all = time.perf_counter(), len(said)
    for count, plan in enumerate(planned, 1):
        del said[of_all:]
        layer = _layer(options, plan, comm, said)
        if isinstance(layer, FinishedLayer):
            done.append(layer)
        else:
            failed[plan.number] = layer
        if comm.rank:
            continue
        if finished is not None and isinstance(layer, FinishedLayer):
            finished(layer)
        share = (count, len(planned), 100 * count / len(planned), time.perf_counter() - started, plan.number)
        if isinstance(layer, FinishedLayer):
            end = "completed successfully" if layer.grain_count != 0 else "has 0 grains"
            log.info("Layer processing: %d/%d (%.0f%%), elapsed: %.1f s - Layer %d %s", *share, end)
        elif len(planned) > 1:
            log.error("Layer processing: %d/%d (%.0f%%), elapsed: %.1f s - Layer %d failed", *share)
    return done, failed


def _layer(options: Options, plan: LayerPlan, comm: Communicator, said: list[str]) -> FinishedLayer | str:
    """One layer on all ranks, or the reason why it failed, the same on all of them."""
    from midas.pipeline.layer_run import LayerRun
    from midas.pipeline.spot_table import SpotTableRun

    team, run = Team(comm), None
    try:
        with folder_lock(plan.folder, _PROGRAM) if comm.rank == 0 else nullcontext():
            run = (SpotTableRun if options.spot_table else LayerRun)(options, plan, team, said)
            why.forget(run)
            tables = run.run()
            run.read_kept()
            warning = why.little(run, tables)
            run.write_record()
            page = run.report()
            team.barrier()
    except PeerError as error:
        return _ended(run, error.reason)
    except NothingFoundError as error:
        return team.failed(_ended(run, str(error) if run is None else why.nothing(run, error)))
    except MidasError as error:
        return team.failed(_ended(run, str(error)))
    finished = FinishedLayer(plan.number, run.layer, None if tables.grains is None else len(tables.grains))
    finished.seconds, finished.counts, finished.warning = run.steps.seconds, run.steps.counts, warning
    finished.geometry, finished.report = run.refined_geometry, page
    return finished


def _ended(run: LayerRun | None, reason: str) -> str:
    """The reason why a layer failed, which its record keeps, if there is one and it can be written."""
    if run is not None:
        with suppress(MidasError):  # the first failure is the one to tell
            run.write_record(reason)
    return reason
