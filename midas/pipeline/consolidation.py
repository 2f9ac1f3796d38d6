"""The results of a layer in one file, and the provenance of its spots in its archive."""

from __future__ import annotations

from midas.formats.layer import Layer
from midas.ledger.recorded import recording
from midas.ledger.steps import CONSOLIDATION
from midas.parameters import Parameters
from midas.results.tables.sources import LayerTables


def of_layer(layer: Layer, parameters: Parameters, tables: LayerTables, per_spot_groups: int) -> None:
    """Write both.

    Parameters
    ----------
    parameters : of the archive, or of the file that stands for it
    tables : in memory, with the sigmas if there are any: their covariances are in no other file
    per_spot_groups : see `midas.results.consolidated`
    """
    from midas.results import consolidated
    from midas.results.consolidated import provenance

    with recording(layer, CONSOLIDATION, parameters, more={"per_spot_groups": per_spot_groups != 0}) as record:
        consolidated.write(layer, per_spot_groups=per_spot_groups, tables=tables)
        if layer.archive is not None:
            provenance.append(layer, tables=tables)
        record({})
