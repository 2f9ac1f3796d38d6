"""Angles between the grains."""

from __future__ import annotations

from midas.results import figures
from midas.results.report.section import Drawing, Section
from midas.results.report.source import Source


def section(source: Source) -> Section | None:
    """None with fewer than two grains."""
    if len(source) < 2:
        return None
    drawing = Drawing("misorientation-angles", figures.misorientations(source.results), label="Misorientation angles")
    return Section(
        "misorientations",
        "Misorientations",
        "The angle between pairs of grains, beside that of random ones. Too many small angles are sub-grains or copies "
        "of one grain; a peak at 60° of cubic crystals is twins.",
        [drawing],
        values={"layout": "one"},
    )
