"""What results and grains say about themselves in a notebook."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from midas.formats.uncertainty import STRAIN

if TYPE_CHECKING:
    from midas.results.reading.grain import Grain
    from midas.results.reading.results import Results


def of_results(results: Results) -> str:
    """A table of what there is, as HTML."""
    grains = results.grains
    facts = {
        "Read from": str(results.path),
        "Grains": str(len(grains)),
        "Space group": str(results.space_group),
        "Cell (Å, °)": " ".join(f"{x:g}" for x in results.cell),
    }
    if len(grains):
        facts["Radius (µm)"] = _spread(grains["radius"])
        facts["Completeness"] = _spread(grains["completeness"])
    facts["Uncertainties"] = "no" if results.sigma is None else "yes"
    facts["Frames"] = "not there" if results.archive is None else results.archive.name
    return _table("Results of a layer", facts)


def of_grain(grain: Grain) -> str:
    """A table of its numbers, with their uncertainties where they are known, as HTML."""
    sigma = grain.sigma or {}
    place = zip("XYZ", grain.position.tolist(), strict=True)
    e = grain.strain
    strains = [(name, e[int(name[1]) - 1, int(name[2]) - 1]) for name in STRAIN]
    facts = {
        "Position (µm)": ", ".join(f"{name} {_with(x, sigma.get('s' + name))}" for name, x in place),
        "Radius (µm)": f"{grain.radius:.2f}",
        "Completeness": f"{grain.completeness:.3f}",
        "Cell (Å, °)": " ".join(f"{x:.5g}" for x in grain.cell.tolist()),
        "Strain (10⁻⁶)": ", ".join(f"{name[1:]}: {_with(x, sigma.get('s' + name), 0)}" for name, x in strains),
    }
    return _table(f"Grain {grain.id}", facts)


def _spread(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    low, middle, high = np.percentile(values, [0, 50, 100])
    return f"median {middle:.4g} ({low:.4g} to {high:.4g})"


def _with(value: float, sigma: float | None, digits: int = 2) -> str:
    return f"{value:.{digits}f}" + ("" if sigma is None or np.isnan(sigma) else f" ± {sigma:.{digits}f}")


def _table(title: str, facts: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th style="text-align:left">{html.escape(name)}</th>'
        f'<td style="text-align:left">{html.escape(value)}</td></tr>'
        for name, value in facts.items()
    )
    caption = f'<caption style="text-align:left;white-space:nowrap">{html.escape(title)}</caption>'
    return f"<table>{caption}{rows}</table>"
