"""The sections of the page, from top to bottom: a module each, with one function from a `Source` to a `Section`.

A function returns None where the layer has nothing for its section. Another section is another module, named here.
"""

from __future__ import annotations

from collections.abc import Callable

from midas.results.report.section import Section
from midas.results.report.sections import (
    grains,
    misorientations,
    orientations,
    powder,
    residuals,
    run,
    sizes,
    strains,
    stresses,
    summary,
)
from midas.results.report.source import Source

SECTIONS: tuple[Callable[[Source], Section | None], ...] = (
    summary.section,
    run.section,
    grains.section,
    powder.section,
    residuals.section,
    orientations.section,
    misorientations.section,
    sizes.section,
    strains.section,
    stresses.section,
)
