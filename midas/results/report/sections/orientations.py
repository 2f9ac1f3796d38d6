"""Pole figures and inverse pole figures."""

from __future__ import annotations

from midas.results import figures
from midas.results.report.section import Drawing, Section
from midas.results.report.source import Source

_AXES = {"x": "X (beam)", "y": "Y", "z": "Z (rotation axis)"}
#: planes of cubic crystals, and of all others
_CUBIC, _OTHERS = ((1, 0, 0), (1, 1, 0), (1, 1, 1)), ((0, 0, 1), (1, 0, 0), (1, 1, 0))
_FIRST_CUBIC = 195


def section(source: Source) -> Section | None:
    """None without grains."""
    if not len(source):
        return None
    results = source.results
    drawings = []
    for hkl in _CUBIC if results.space_group >= _FIRST_CUBIC else _OTHERS:
        name = "".join(map(str, hkl))
        figure = figures.pole_figure(results, hkl)
        drawings.append(Drawing(f"pole-figure-{name}", figure, label=f"Normals of the planes {name} in the sample"))
    for axis, title in _AXES.items():
        figure = figures.inverse_pole_figure(results, axis)
        drawings.append(Drawing(f"inverse-pole-figure-{axis}", figure, label=f"Crystal directions along {title}"))
    return Section(
        "orientations",
        "Orientations",
        "Above, where the normals of planes point in the sample; below, which directions of the crystals point along "
        "its axes. Points all over are grains without a preferred orientation; clusters are texture, or a few grains "
        "found many times.",
        drawings,
        values={"layout": "three"},
    )
