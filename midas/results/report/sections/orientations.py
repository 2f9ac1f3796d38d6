"""Pole figures and inverse pole figures."""

from __future__ import annotations

from midas.results import figures
from midas.results.report.section import Drawing, Section
from midas.results.report.source import Source

_AXES = {"x": ((1, 0, 0), "X (beam)"), "y": ((0, 1, 0), "Y"), "z": ((0, 0, 1), "Z (rotation axis)")}


def section(source: Source) -> Section | None:
    """None without grains."""
    if not len(source):
        return None
    drawings = [Drawing("pole-figure", figures.pole_figure(source.results), label="Pole figures of the grains")]
    drawings += [
        Drawing(f"inverse-pole-figure-{name}", figures.inverse_pole_figure(source.results, direction),
                f"Crystal directions along {title} of the sample.", f"Inverse pole figure along {title}")
        for name, (direction, title) in _AXES.items()
    ]  # fmt: skip
    return Section(
        "orientations",
        "Orientations",
        "Points all over are grains without a preferred orientation; clusters are texture, or a few grains found many "
        "times.",
        drawings,
    )
