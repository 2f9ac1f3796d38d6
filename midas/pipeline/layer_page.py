"""The page about the grains of a layer, as the pipeline writes it."""

from __future__ import annotations

from pathlib import Path

from midas.formats.layer import Layer
from midas.ledger.recorded import recording
from midas.ledger.steps import REPORT
from midas.parameters import Parameters


def of_layer(layer: Layer, parameters: Parameters, threads: int) -> Path:
    """Write `Layer.report` of a finished layer."""
    from midas.results import report
    from midas.results.reading import read_results

    results = read_results(layer.folder, archive=layer.archive)
    with recording(layer, REPORT, parameters) as record:
        path = report.write(results, layer.report, report.PageOptions(threads=threads))
        record({})
    return path
