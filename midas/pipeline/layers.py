"""The pipeline: layers times stages in one process.

Under MPI the stages that share their work run on every rank and read their input from the files; the others run on
rank 0.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import not_yet
from midas.pipeline import inputs
from midas.pipeline.layer_run import LayerRun
from midas.pipeline.options import Options
from midas.runtime.errors import MidasError, StageError
from midas.runtime.parallel import Communicator, communicator
from midas.runtime.result import StageResult

log = logging.getLogger(__name__)


@dataclass
class FinishedLayer:
    """A layer that is done.

    Parameters
    ----------
    number : of the layer
    layer : the paths of all its files
    grains, spot_matrix : `Table` of Grains.csv and SpotMatrix.csv; None after a peak search only, and on all ranks of
        an MPI run but the first
    seconds : that each step took
    """

    number: int
    layer: Layer
    grains: Table | None = None
    spot_matrix: Table | None = None
    seconds: dict[str, float] = field(default_factory=dict)


def run(
    options: Options,
    *,
    comm: Communicator | None = None,
    finished: Callable[[FinishedLayer], object] | None = None,
) -> StageResult[list[FinishedLayer]]:
    """Process the layers one after the other; the first failure ends the run.

    Parameters
    ----------
    comm : the processes that share the work; those of the MPI run by default
    finished : is called with every layer that is done

    Returns
    -------
    StageResult whose data is the list of `FinishedLayer`
    """
    options = options.checked()
    comm = communicator() if comm is None else comm
    with not_yet.one_run():
        inputs.check(options)
        done = _all_layers(options, comm, finished)
    if comm.rank == 0:
        log.info("All layers processed successfully")
    return StageResult("midas", {} if comm.rank else _summary(done), done)


def _all_layers(
    options: Options, comm: Communicator, finished: Callable[[FinishedLayer], object] | None
) -> list[FinishedLayer]:
    done: list[FinishedLayer] = []
    started = time.perf_counter()
    for number in options.layers:
        try:
            done.append(_layer(options, number, comm))
        except MidasError as error:
            raise StageError(f"Failed to process layer {number}: {error}") from None
        if comm.rank:
            continue
        if finished is not None:
            finished(done[-1])
        count, total = len(done), len(options.layers)
        log.info(
            "Layer processing: %d/%d (%.0f%%), elapsed: %.1f s - Layer %d completed successfully",
            *(count, total, 100 * count / total, time.perf_counter() - started, number),
        )
    return done


def _layer(options: Options, number: int, comm: Communicator) -> FinishedLayer:
    run = LayerRun(options, number, comm)
    tables = run.run()
    return FinishedLayer(number, run.layer, tables.grains, tables.spot_matrix, run.steps.seconds)


def _summary(done: list[FinishedLayer]) -> dict[str, str]:
    """Rows of the closing table: what every layer gave, and what took the time."""
    rows = {}
    for layer in done:
        found = f"peaks in {layer.layer.temp}" if layer.grains is None else f"{len(layer.grains)} grains"
        rows[f"Layer {layer.number}"] = found
        if layer.grains is not None:
            rows[f"Results {layer.number}"] = f"{layer.layer.grains}, {layer.layer.consolidated.name}"
    steps = dict.fromkeys(name for layer in done for name in layer.seconds)
    rows |= {f"  {name}": f"{sum(layer.seconds.get(name, 0) for layer in done):8.2f} s" for name in steps}
    return rows
