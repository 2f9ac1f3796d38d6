"""The page about the grains of a layer, as the pipeline writes it."""

from __future__ import annotations

from pathlib import Path

from midas.formats.layer import Layer


def of_layer(layer: Layer, threads: int) -> Path:
    """Write `Layer.report` of a finished layer."""
    from midas.results import report
    from midas.results.reading import read_results

    results = read_results(layer.folder, archive=layer.archive)
    return report.write(results, layer.report, report.PageOptions(threads=threads))
