"""The instrument: beam centre, tilts, wedge, distance (docs/theory/verdicts.md#instrument)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.results.evidence.geometry_errors import GeometryError
from midas.results.report.verdicts.verdict import LOOK, NOTE, WRONG, Verdict

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]

#: what a wrong number does to the spots
_SHOWS = {
    "BCy": "the radial residual goes with the sine of eta",
    "BCz": "the radial residual goes with the cosine of eta",
    "tx": "the spots are turned about the beam",
    "ty": "the radial residual goes with eta and grows with the square of the radius",
    "tz": "the radial residual goes with eta and grows with the square of the radius",
    "Wedge": "the residuals go with omega: the rotation axis leans",
}
_KEYS = {"BCy": "BC", "BCz": "BC"}
#: from so many pixels on a mistake is worth another run
_MUCH = 0.3
#: spacings: least offset that is no chance, 10⁻⁶ and standard errors; from how much on it is much
_HARMLESS_PPM, _CERTAIN, _MUCH_PPM = 100.0, 5.0, 500.0
#: rings that differ from each other by this much, 10⁻⁶
_UNEVEN_PPM = 60.0
#: fewer grains say nothing of a mean
_FEWEST_GRAINS = 3


def instrument(errors: Sequence[GeometryError]) -> Iterator[Verdict]:
    """Numbers of the instrument that the residuals contradict."""
    for error in errors:
        key = _KEYS.get(error.name, error.name)
        unit, digits = (" px", 3) if error.name.startswith("BC") else ("°", 4)
        axis = {"BCy": " in y (the column)", "BCz": " in z (the row)"}.get(error.name, "")
        better = round(error.value + error.change, digits) + 0.0  # not minus zero
        says = (
            f"{key}{axis} is about {better:.{digits}f}{unit} instead of {error.value:.{digits}f}{unit} "
            f"({error.change:+.{digits}f} ± {error.error:.1g}): {_SHOWS.get(error.name, 'the residuals show it')}."
        )
        level = WRONG if abs(error.pixels) >= _MUCH else LOOK
        advice = f"Run ff-geometry on this layer, or correct {key} in the parameter file, and analyse again."
        yield Verdict(_topic(error.name), level, says, advice, error.significance)


def _topic(name: str) -> str:
    return {"BCy": "Beam centre", "BCz": "Beam centre", "Wedge": "Rotation axis"}.get(name, "Detector tilt")


@dataclass(frozen=True)
class RingSpacing:
    """How far the lattice spacings of a ring are from those of the reference cell, 10⁻⁶, and how well that is known.

    Parameters
    ----------
    ring : number
    mean, error : over the grains
    beside, beside_error : what is left of it once the mean of each grain over its rings is taken away
    """

    ring: int
    mean: float
    error: float
    beside: float
    beside_error: float


def ring_spacings(grain: Whole, ring: Whole, spacing: Floats) -> list[RingSpacing]:
    """Each ring over the grains: a grain counts once, since its spots share its strain.

    Parameters
    ----------
    grain, ring : (n,) of the spots
    spacing : (n,) lattice spacing over that of the reference cell, minus 1, in 10⁻⁶
    """
    rings = np.unique(ring)
    grains, row = np.unique(grain, return_inverse=True)
    means = np.full((len(grains), len(rings)), np.nan)
    for k, number in enumerate(rings):
        own = ring == number
        counts = np.bincount(row[own], minlength=len(grains))
        sums = np.bincount(row[own], spacing[own], minlength=len(grains))
        means[:, k] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    complete = means[np.isfinite(means).all(axis=1)]
    if len(complete) < _FEWEST_GRAINS:
        return []
    beside = complete - complete.mean(axis=1, keepdims=True)
    root = np.sqrt(len(complete))
    return [
        RingSpacing(
            int(number),
            float(complete[:, k].mean()),
            float(complete[:, k].std(ddof=1) / root),
            float(beside[:, k].mean()),
            float(beside[:, k].std(ddof=1) / root),
        )
        for k, number in enumerate(rings)
    ]


def scale(spacings: Sequence[RingSpacing], lsd: float, wavelength: float) -> Iterator[Verdict]:
    """All rings off alike: the distance, the wavelength or the reference cell; or unlike: the shape of the detector.

    Parameters
    ----------
    lsd, wavelength : that were used, µm and Å
    """
    if not spacings:
        return
    mean = float(np.mean([each.mean for each in spacings]))
    error = max(float(np.mean([each.error for each in spacings])), 1e-9)
    if abs(mean) > max(_HARMLESS_PPM, _CERTAIN * error):
        says = (
            f"The lattice spacings of all rings are {mean:+.0f} ± {error:.0f} × 10⁻⁶ from those of LatticeParameter. "
            f"That is how a wrong distance looks (Lsd about {lsd * (1 - 1e-6 * mean):.0f} instead of {lsd:.0f} µm), a "
            f"wrong Wavelength (about {wavelength * (1 - 1e-6 * mean):.6f} Å), or another unstrained cell (larger by "
            f"{1e-4 * mean:+.3f} %)."
        )
        advice = (
            "Strains are relative to LatticeParameter: their mean is only as good as these three. Calibrate Lsd with a "
            "standard, or measure the unstrained sample; ff-geometry finds Lsd for a mean strain of zero."
        )
        level = LOOK if abs(mean) < _MUCH_PPM else WRONG
        yield Verdict("Distance or reference cell", level, says, advice, abs(mean) / error)
    uneven = [each for each in spacings if abs(each.beside) > max(_UNEVEN_PPM, _CERTAIN * each.beside_error)]
    if len(spacings) > 1 and uneven:
        worst = max(uneven, key=lambda each: abs(each.beside))
        listed = ", ".join(f"ring {each.ring} {each.beside:+.0f}" for each in spacings)
        says = (
            f"The rings do not agree: against the mean of each grain their spacings are off by {listed} (10⁻⁶). A "
            "number that all rings share does not do that; the distortion (p0 to p2), a tilt, or an energy or cell "
            "whose angles are wrong does."
        )
        advice = "Calibrate with ff-calibrate on a standard, with the rings out to the rim, or run ff-geometry."
        significance = abs(worst.beside) / max(worst.beside_error, 1e-9)
        yield Verdict("Distortion", LOOK, says, advice, significance)


def height(z: Floats, thickness: float, px: float) -> Iterator[Verdict]:
    """The grains beside the middle of the beam: what nothing but the beam's own height tells.

    Parameters
    ----------
    z : (n,) of the grains, µm
    thickness : of the beam, µm; 0 if not known
    px : size of a pixel, µm
    """
    if len(z) < _FEWEST_GRAINS or thickness <= 0:
        return
    middle, error = float(np.mean(z)), float(np.std(z, ddof=1) / np.sqrt(len(z)))
    if abs(middle) <= max(0.15 * thickness, _CERTAIN * error):
        return
    says = (
        f"The grains lie {middle:+.0f} ± {error:.0f} µm beside Z = 0, in a beam {thickness:.0f} µm high. The spots "
        f"cannot tell a beam centre that is wrong in z (by {middle / px:+.2f} px) from a beam at another height."
    )
    advice = "Check BC in z with a standard or the direct beam; it only shifts all grains, their strains stay."
    level = LOOK if abs(middle) > thickness / 2 else NOTE  # where there is no beam
    yield Verdict("Height", level, says, advice, abs(middle) / max(error, 1e-9))
