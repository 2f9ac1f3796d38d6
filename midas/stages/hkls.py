"""The hkl list: ``GetHKLListZarr``, ``GetHKLList`` (docs/theory/hkls.md)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from midas.experiment import crystal
from midas.formats.hkls import LAYOUT
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.steps import HKLS
from midas.runtime.files import make_folder, remove
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult
from midas.stages.digits import digits

if TYPE_CHECKING:
    from midas.parameters import Parameters

log = logging.getLogger(__name__)


@recorded(HKLS)
@digits("hkls")
def run(layer: Layer, parameters: Parameters, *, threads: int = 1, comm: Communicator = SERIAL) -> StageResult[Table]:
    """Write the reflections of the sample to ``hkls.csv``.

    The work takes milliseconds: every member of the run computes the list, and the first one writes it.

    Returns
    -------
    StageResult whose data is the `Table` of ``hkls.csv``
    """
    parameters = parameters.for_stage("hkls")
    if comm.rank == 0:
        make_folder(layer.folder)
        remove(layer.hkls)
    table = crystal.reflections(parameters)
    if comm.rank == 0:
        LAYOUT.write(layer.hkls, table)
    comm.barrier()
    rings = int(table["ring"][-1]) if len(table) else 0
    log.info("%d reflections on %d rings: %s", len(table), rings, layer.hkls)
    return StageResult("hkls", {"reflections": len(table), "rings": rings}, LAYOUT.rounded(table))
