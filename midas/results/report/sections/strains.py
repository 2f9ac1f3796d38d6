"""The strains, a panel for each component."""

from __future__ import annotations

from midas.results import figures
from midas.results.report.section import Drawing, Section
from midas.results.report.source import Source


def section(source: Source) -> Section | None:
    """None without grains."""
    if not len(source):
        return None
    drawing = Drawing("strain-components", figures.strains(source.results), label="Components of the strain")
    return Section(
        "strains",
        "Strains",
        "In the frame of the sample, from the spots (eKen), relative to LatticeParameter: a wrong distance or cell is "
        "the same strain in all grains.",
        [drawing],
        values={"layout": "one"},
    )
