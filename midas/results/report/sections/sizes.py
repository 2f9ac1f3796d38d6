"""How large the grains are, and how complete."""

from __future__ import annotations

from midas.results import figures
from midas.results.report.section import Drawing, Section
from midas.results.report.source import Source


def section(source: Source) -> Section | None:
    """None without grains."""
    if not len(source):
        return None
    return Section(
        "sizes",
        "Sizes and completeness",
        "Radii come from intensities, relative to the volume of the sample (Vsample) and the powder of each ring.",
        [
            Drawing("grain-sizes", figures.sizes(source.results), label="Radii of the grains"),
            Drawing("grain-completeness", figures.completeness(source.results), label="Completeness of the grains"),
        ],
    )
