"""What a run tells at its end: the closing table, and what to open next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.pipeline.options import Options


@dataclass
class FinishedLayer:
    """A layer that is done.

    Parameters
    ----------
    number : of the layer
    layer : the paths of all its files
    grain_count : grains that were found; None after a peak search only, and on all ranks of an MPI run but the first
    seconds : that each step took
    counts : what each step found: rows of its summary, on the first rank
    warning : what is wrong when the grains explain little of what is there
    geometry : the parameter file with the geometry from the grains, if it was asked for
    report : the page about the grains, unless it was left out
    """

    number: int
    layer: Layer
    grain_count: int | None = None
    seconds: dict[str, float] = field(default_factory=dict)
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    warning: str = ""
    geometry: Path | None = None
    report: Path | None = None

    @property
    def grains(self) -> Table | None:
        """The table of Grains.csv, read when it is asked for: hundreds of layers are not kept in memory."""
        from midas.formats.grains import read_grains

        return None if self.grain_count is None else read_grains(self.layer.grains)

    @property
    def spot_matrix(self) -> Table | None:
        """The table of SpotMatrix.csv, likewise."""
        from midas.formats.grains import SPOT_MATRIX

        return None if self.grain_count is None else SPOT_MATRIX.read(self.layer.spot_matrix)


#: what of a layer stands beside its grains: step and row of its summary
_FUNNEL = (
    ("peaksearch", "peaks"),
    ("merge_overlaps", "merged spots"),
    ("spot_table", "spots"),
    ("fit_setup", "seeds"),
    ("spot_table", "seeds"),
    ("indexing", "indexed"),
)


def rows(options: Options, done: Sequence[FinishedLayer], failed: Mapping[int, str]) -> dict[str, str]:
    """Rows of the closing table: what every layer gave, what took the time, and what comes next."""
    table = {}
    layers = {layer.number: layer for layer in done}
    for number in sorted({*layers, *failed}):
        if number in failed:
            table[f"Layer {number}"] = f"failed: {failed[number]}"
            continue
        layer = layers[number]
        grains = "" if layer.grain_count is None else f"{layer.grain_count} grains from "
        table[f"Layer {number}"] = f"{grains}{_funnel(layer)}"
        if layer.warning:
            table[f"Warning {number}"] = layer.warning
        if layer.grain_count is not None:
            table[f"Results {number}"] = f"{layer.layer.grains}, {layer.layer.consolidated.name}"
        if layer.report is not None:
            table[f"Report {number}"] = str(layer.report)
        if layer.geometry is not None:
            table[f"Geometry {number}"] = f"{layer.geometry}, {layer.layer.geometry_page.name}"
    steps = dict.fromkeys(name for layer in done for name in layer.seconds)
    table |= {f"  {name}": _step(name, done) for name in steps}
    if done:
        table["Next"] = _next(options, done[-1])
    return table


def _funnel(layer: FinishedLayer) -> str:
    counts = [(layer.counts.get(step, {}).get(label), label) for step, label in _FUNNEL]
    return ", ".join(f"{count} {label}" for count, label in counts if count is not None)


def _step(name: str, done: Sequence[FinishedLayer]) -> str:
    """Seconds of a step, and what it found, in all layers."""
    labels = dict.fromkeys(label for layer in done for label in layer.counts.get(name, {}))
    found = [f"{sum(layer.counts.get(name, {}).get(label, 0) for layer in done)} {label}" for label in labels]
    return f"{sum(layer.seconds.get(name, 0) for layer in done):8.2f} s  {', '.join(found)}".rstrip()


def _next(options: Options, last: FinishedLayer) -> str:
    """What to open or to type."""
    layer = last.layer
    if last.grain_count is None:
        return f"look at the peaks in {layer.temp}; -doPeakSearch 0 in place of -peakSearchOnly 1 goes on from them"
    if last.report is not None:
        return f"open {last.report} in a browser"
    return f"open {layer.consolidated} (docs/formats.md says what is in it), or ff-report {layer.folder} for a web page"
