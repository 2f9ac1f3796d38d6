"""What points on rings cannot tell: found before it is reported.

See docs/theory/calibration.md#what-the-image-cannot-tell.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from midas.experiment.ring_fit import RingFitSettings, RingSolution, problem, solve
from midas.experiment.ring_model import RingPoints, Setting, taken_apart
from midas.experiment.robust_fit import conditioning
from midas.runtime.errors import StageError

#: a number is undetermined when its uncertainty exceeds this; Lsd: relative
WORST_SIGMA = {"Lsd": 1e-4, "BCy": 0.1, "BCz": 0.1, "ty": 0.05, "tz": 0.05} | dict.fromkeys(
    ("p0", "p1c", "p1s", "p2"), 2e-4
)
_UNITS = {"Lsd": "um", "BCy": "px", "BCz": "px", "ty": "degrees", "tz": "degrees"}
#: or when the normal matrix with columns of unit length has a condition beyond this
WORST_CONDITION = 1e6
#: numbers that give way to the others, the least important first; those in one bracket together
GIVE_WAY = (("Wavelength",), ("p1c", "p1s"), ("p0",), ("p2",), ("tz",), ("ty",))
FEWEST_RINGS_FOR_WAVELENGTH = 5
DISTORTION = ("p0", "p1c", "p1s", "p2")
#: numbers hang together when their correlation, or the inflation of their variances, exceeds this
_CORRELATED, _INFLATED = 0.9, 1e4


class UndeterminedError(StageError):
    """The points cannot tell a number that was demanded, or without which there is no geometry."""


def identify(
    points: RingPoints, setting: Setting, settings: RingFitSettings, demanded: Iterable[str] = ()
) -> RingSolution:
    """As `solve`, with only the numbers that the points can tell.

    Others stay as they are in `setting`, in the order of `GIVE_WAY`, and are named in the solution's `undetermined`.

    Parameters
    ----------
    demanded : numbers that may not give way

    Raises
    ------
    UndeterminedError : when one of them would have to, or nothing is left that could
    """
    kept, why = frozenset(demanded), dict[str, str]()

    def give_way(settings: RingFitSettings, names: set[str], reason: str) -> RingFitSettings:
        bracket = _least_important(names, settings.free)
        if not bracket or kept & set(bracket):
            raise UndeterminedError(f"the rings cannot tell {_in_the_file(names)}: {reason}")
        why.update(dict.fromkeys(bracket, reason))
        return replace(settings, free=tuple(name for name in settings.free if name not in bracket))

    reason = wavelength_refused(points, setting, settings.free)
    if reason:
        settings = give_way(settings, {"Wavelength"}, reason)
    while True:
        model, limits = problem(points, setting, settings)
        residuals, jacobian = model(model.start())
        names, reason = _hanging_together(model.names, *conditioning(residuals, jacobian, limits))
        if not reason:
            found = solve(points, setting, settings)
            names, reason = doubtful(found)
        if not reason:
            return replace(found, undetermined=why)
        settings = give_way(settings, names, reason)


def wavelength_refused(points: RingPoints, setting: Setting, free: Iterable[str]) -> str:
    """Why the wavelength cannot be free; empty when it can."""
    if "Wavelength" not in free or len(setting.travel) > 1:
        return ""
    if set(DISTORTION) & set(free):
        return (
            "in one image distortion and wavelength look the same; fix p0, p1, p2 and p3, or give images at several "
            "distances"
        )
    rings = len(np.unique(points.d_spacing))
    if rings < FEWEST_RINGS_FOR_WAVELENGTH:
        return f"{rings} rings are too few for the wavelength, which needs {FEWEST_RINGS_FOR_WAVELENGTH}"
    return ""


def doubtful(found: RingSolution) -> tuple[set[str], str]:
    """Numbers that the points do not tell, with those that hang together with them, and the reason."""
    names, reason = _hanging_together(found.names, found.condition, found.inflation)
    if reason:
        return names, reason
    worst = {
        name: WORST_SIGMA[kind] * (found.setting.detector.lsd if kind == "Lsd" else 1.0)
        for name in found.names
        if (kind := taken_apart(name)[0]) in WORST_SIGMA
    }
    wide = [name for name in worst if not found.sigma_of(name) <= worst[name]]
    if not wide:
        return set(), ""
    rows = [found.names.index(name) for name in wide]
    tied = np.abs(found.correlation[rows]).max(axis=0) >= _CORRELATED
    (first, size), *others = [(name, _with_unit(name, found.sigma_of(name))) for name in wide]
    open_by = ", ".join([f"{first} open by {size}", *(f"{name} by {size}" for name, size in others)])
    most = ", ".join(_with_unit(name, worst[name]) for name in wide)
    reason = f"the image leaves {open_by}; more than {most} is too much"
    return {name for name, together in zip(found.names, tied, strict=True) if together}, reason


def _with_unit(name: str, value: float) -> str:
    """A number to two digits, without an exponent where that can be read."""
    digits = f"{value:.0f}" if 100 <= value < 1e6 else f"{value:.2g}"
    return f"{digits} {_UNITS.get(taken_apart(name)[0], '')}".rstrip()


def _hanging_together(names: tuple[str, ...], condition: float, inflation: NDArray[np.float64]) -> tuple[set[str], str]:
    if condition <= WORST_CONDITION:
        return set(), ""
    together = {name for name, part in zip(names, inflation, strict=True) if part > _INFLATED}
    reason = (
        f"they can be traded for each other (condition {condition:.1e}; more than {WORST_CONDITION:.0e} is too much)"
    )
    return together, reason


def _in_the_file(names: Iterable[str]) -> str:
    """Names as a parameter file has them."""
    written = {"p1c": "p1", "p1s": "p3", "BCy": "BC", "BCz": "BC"}
    return " ".join(sorted({written.get(taken_apart(name)[0], name) for name in names}))


def _least_important(names: set[str], free: Iterable[str]) -> tuple[str, ...]:
    """Of those that are free: of the names, or else of all."""
    for among in (names, set(free)):
        for bracket in GIVE_WAY:
            if among & set(bracket) & set(free):
                return tuple(name for name in bracket if name in free)
    return ()
