"""A refined geometry as a few lines of text."""

from __future__ import annotations

import numpy as np

from midas.calibration.grains.result import GeometryResult, Number
from midas.experiment.angles import covered

#: digits behind the point in the columns of values, by unit
_DIGITS = {"um": 2, "px": 4, "deg": 5, "A": 7, "": 8}
#: a gap of the azimuth (degrees) up to which it counts as full
_GAP = 30.0
_TRUST = {
    "mean": "mean lattice trusted",
    "none": "no lattice trusted",
    "each": "the lattice of every grain trusted",
}


def text_of(result: GeometryResult, name: str) -> str:
    """The table of the numbers, the held-out spots, and what the data cannot tell.

    Parameters
    ----------
    name : of the layer, or of the layers
    """
    heads = ("", "", "start", "refined", "sigma", "change", "verdict")
    rows = [heads, *(_row(number) for number in result.numbers)]
    widths = [max(len(row[k]) for row in rows) for k in range(len(heads))]
    lines = [headline(result, name)]
    for row in rows:
        cells = [row[k].ljust(widths[k]) if k < 2 else row[k].rjust(widths[k]) for k in range(len(heads) - 1)]
        lines.append("  ".join([*cells, row[-1]]).rstrip())
    lines += held_out_lines(result)
    lines += result.sentences
    return "\n".join(lines)


def headline(result: GeometryResult, name: str) -> str:
    """What the fit rests on."""
    spots = result.residuals.spots
    seen = covered(spots.eta)
    facts = (
        _count(len(result.grains.ids), "grain"),
        _count(len(spots), "spot"),
        _count(len(np.unique(spots.ring)), "ring"),
        "full azimuth" if seen >= 360.0 - _GAP else f"{seen:.0f} degrees of azimuth",
        f"{covered(spots.omega):.0f} degrees of rotation",
        trusted(result),
    )
    return f"Geometry of {name}: {', '.join(facts)}"


def trusted(result: GeometryResult) -> str:
    """What fixed the scale, in words."""
    return _TRUST.get(str(result.trust), f"mean lattice trusted to {result.trust}e-6")


def held_out_lines(result: GeometryResult) -> list[str]:
    """How well unseen spots are predicted, a line for each detector."""
    sets = [",".join(verdict.words) for verdict in result.sets if verdict.kept]
    needed = f", needed by them: {' '.join(sets)}" if sets else ""
    lines = []
    for d, detector in enumerate(result.detectors):
        where = f" of detector {d + 1}" if len(result.detectors) > 1 else ""
        (r0, r1), (t0, t1) = result.held_out.radial[d] / detector.px, result.held_out.tangential[d] / detector.px
        lines.append(
            f"held-out spots{where}: radial {r0:.3g} -> {r1:.3g} px, tangential {t0:.3g} -> {t1:.3g} px{needed}"
        )
    return lines


def values_of(number: Number) -> tuple[str, str, str, str]:
    """Start, value, sigma and change as text."""
    digits = _DIGITS[number.unit]
    sigma, change = (f"{number.sigma:.2g}", f"{number.change:.3g}") if number.fitted else ("-", "-")
    return f"{number.start:.{digits}f}", f"{number.value:.{digits}f}", sigma, change


def _row(number: Number) -> tuple[str, ...]:
    return (number.name, number.unit, *values_of(number), number.verdict)


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
