"""The wobble of the stage: what the residuals say of it (docs/theory/geometry_from_grains.md#wobble)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from midas.calibration.grains.case import Case
from midas.calibration.grains.gauge import constraints_of
from midas.calibration.grains.joint import Fit, Information, reduced
from midas.calibration.grains.state import AT, WOBBLE

#: a term is worth a sentence from so many standard deviations and so many µm on
_SURE, _LARGE = 5.0, 1.0


@dataclass(frozen=True)
class WobbleTerm:
    """One term of the Fourier series of the stage's wobble in the laboratory.

    Parameters
    ----------
    axis : Y or Z
    order : 1, 2 or 3
    phase : c for the cosine of omega, s for the sine
    value, sigma : µm
    fitted : whether the fit applied it; else it is what the residuals would want
    """

    axis: str
    order: int
    phase: str
    value: float
    sigma: float
    fitted: bool


def wobble_of(case: Case, found: Fit, information: Information) -> tuple[WobbleTerm, ...]:
    """All terms: one more step of the fit in which they are free, beside the grains and everything else.

    Order 1 in Y is left out: it is the mean position of the grains.
    """
    names = {*found.free.plain()}
    wanted = [name for name in AT if name in names or name in WOBBLE]
    if any(name[:2] in ("dY", "dZ") for name in names):
        wanted.append("Panels")
    free = case.free(wanted)
    weights = np.where(information.inlier, 1 / information.variance, 0.0)
    sums = case.problem().sums(found.state, free, weights)
    system, _, _ = reduced(sums, constraints_of(case.convention, free, found.state))
    step = system.solution()
    sigma = np.sqrt(np.maximum(np.diag(system.inverse()), 0.0))
    out = []
    for name in WOBBLE:
        k = free.names.index(name)
        axis, order, phase = name[-3], name[-2], name[-1]
        value = float(found.state.numbers[0, AT[name]] + step[k])
        out.append(WobbleTerm(axis, int(order), phase, value, float(sigma[k]), name in names))
    return tuple(out)


def wobble_sentence(terms: tuple[WobbleTerm, ...]) -> list[str]:
    """A sentence where the stage wobbles and the fit does not know of it."""
    if any(term.fitted for term in terms):
        return []
    seen = [t for t in terms if abs(t.value) > max(_SURE * t.sigma, _LARGE)]
    if not seen:
        return []
    phases = {"c": "cos", "s": "sin"}
    listed = ", ".join(f"{t.axis} {phases[t.phase]} {t.order} omega {t.value:+.1f} +- {t.sigma:.1f} um" for t in seen)
    return [f"the stage seems to wobble: {listed}; Wobble among the refined numbers fits it with the rest"]
