"""Which mistake of the instrument the residuals of the grains show, and how large it is.

The grains have taken up of a mistake what they can; the rest is fitted with their twelve numbers left free to follow,
so that its size is that of the mistake and not of what is left of it. See docs/theory/verdicts.md#instrument.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.calibrate.joint import PARAMETERS
from midas.experiment.instrument_numbers import numbers_of
from midas.experiment.noise import PER_MAD
from midas.results.evidence.residuals import SpotResiduals

Floats = NDArray[np.float64]

#: numbers of the instrument that are tried; Lsd and wavelength are those of the cells, omega's zero is a turn of all
TRIED = ("BCy", "BCz", "tx", "ty", "tz", "Wedge")
#: a spot beyond so many scales does not count
_INLIER = 4.0
#: residuals of a kind are at least this, of a pixel and in degrees
_LEAST_PIXELS, _LEAST_DEGREES = 0.005, 1e-3
#: a number of which the grains take up all but this part is left open by the spots
_OPEN = 1e-3
#: fewer spots cannot tell
_FEWEST = 60
#: fewer spots do not determine a grain
_FEWEST_OF_GRAIN = 8
#: unknowns of a grain
_OF_GRAIN = 12
#: eigenvalue of the scaled matrix of a grain whose spots leave something of it open
_SINGULAR = 1e-9
#: the scatter of the spots is found anew so often, without what the mistakes do to it
_ROUNDS = 4


@dataclass(frozen=True)
class GeometryError:
    """A number of the instrument that is wrong.

    Parameters
    ----------
    name : of `midas._ext.calibrate.joint.PARAMETERS`
    value : the number that was used
    change : to add to it, in its unit: px, degrees
    error : standard error of the change
    pixels : the change in pixels of spots far out
    """

    name: str
    value: float
    change: float
    error: float
    pixels: float

    @property
    def significance(self) -> float:
        """The change in standard errors."""
        return abs(self.change) / self.error


def geometry_errors(
    found: SpotResiduals, *, tried: tuple[str, ...] = TRIED, certain: float = 6.0, harmless: float = 0.05
) -> list[GeometryError]:
    """The numbers whose change makes the residuals smaller, the most certain first.

    The one that gains most is taken, then the one that gains most beside it, as long as both is true of it: it is
    certain, and it moves spots.

    Parameters
    ----------
    tried : which numbers
    certain : least change, in standard errors
    harmless : least change, in pixels of spots far out

    Returns
    -------
    Empty where all is well, or where there are too few spots to tell
    """
    if len(found) < _FEWEST:
        return []
    equations = _Equations(found, tried)
    sizes = np.array([_pixels_per_unit(found, name) for name in tried])
    residual, chosen = equations.residual, list[int]()
    for _ in range(_ROUNDS):
        matrix, right, back = equations.reduced(residual)
        before, chosen = chosen, _chosen(matrix, right, sizes, certain, harmless)
        change, error = _solved(matrix, right, chosen)
        if chosen == before:
            break
        # What the mistakes hide is seen in what they leave.
        residual = equations.left(back, chosen, change)
    numbers = numbers_of(found.detector)
    return [
        GeometryError(tried[k], float(numbers[PARAMETERS.index(tried[k])]), float(c), float(e), float(c * sizes[k]))
        for k, c, e in zip(chosen, change, error, strict=True)
    ]


def _chosen(matrix: Floats, right: Floats, sizes: Floats, certain: float, harmless: float) -> list[int]:
    """The numbers that gain, the best first."""
    chosen: list[int] = []
    while True:
        best, gain = -1, certain
        for k in np.flatnonzero(np.diag(matrix) > 0):
            if k in chosen:
                continue
            change, error = _solved(matrix, right, [*chosen, int(k)])
            if abs(change[-1] * sizes[k]) >= harmless and abs(change[-1]) / error[-1] > gain:
                best, gain = int(k), abs(change[-1]) / error[-1]
        if best < 0:
            return chosen
        chosen.append(best)


def scales_of(found: SpotResiduals) -> Floats:
    """(3, n) how far spots of its ring scatter about their predictions: along the radius, around it, in omega.

    The grains have been fitted to them, by which residuals are too small.
    """
    return _scales(found, np.stack([found.radial, found.tangential, found.omega]))


def _scales(found: SpotResiduals, residual: Floats) -> Floats:
    least = (_LEAST_PIXELS * found.detector.px,) * 2 + (_LEAST_DEGREES,)
    grains = len(np.unique(found.spots.grain))
    free = max(1 - grains * _OF_GRAIN / (3 * len(found)), 0.1)
    scales = np.empty_like(residual)
    for ring in np.unique(found.spots.ring):
        rows = found.spots.ring == ring
        for k in range(3):
            spread = PER_MAD * float(np.median(np.abs(residual[k, rows]))) / np.sqrt(free)
            scales[k, rows] = max(spread, least[k])
    return scales


class _Equations:
    """The normal equations of grains and instrument.

    Parameters
    ----------
    found : the spots
    tried : numbers of the instrument
    """

    def __init__(self, found: SpotResiduals, tried: tuple[str, ...]):
        self.found, self.tried = found, tried
        self.residual = np.stack([found.radial, found.tangential, found.omega])
        columns = np.full((1, len(PARAMETERS)), -1, np.int32)
        for column, name in enumerate(tried):
            columns[0, PARAMETERS.index(name)] = column
        ub, position = found.grains.ub.reshape(-1, 9), found.grains.position
        self._arguments = (
            numbers_of(found.detector)[None], np.empty((0, 2)), np.ascontiguousarray(ub),
            np.ascontiguousarray(position), columns, np.empty(0, np.int32), len(tried),
        )  # fmt: skip
        self._counted = np.bincount(found.spots.grain, minlength=len(ub)) >= _FEWEST_OF_GRAIN

    def reduced(self, left: Floats) -> tuple[Floats, Floats, Floats]:
        """Those of the instrument alone, the grains eliminated.

        Parameters
        ----------
        left : (3, n) residuals without the mistakes that are known, which tell how much to make of each spot

        Returns
        -------
        matrix (m, m), right side (m,), and (g, 12, m + 1) by how much the grains follow: per unit of each number, and
        by themselves
        """
        scales = _scales(self.found, left)
        inside = (np.abs(left) < _INLIER * scales).all(axis=0) & self._counted[self.found.spots.grain]
        weights = np.where(inside, 1 / scales**2, 0.0)
        a, b, gradient, n, n_gradient = self.found.kernel.normal_equations(*self._arguments, weights)
        size = np.sqrt(np.maximum(np.einsum("gii->gi", a), 1e-300))
        sound = np.linalg.eigvalsh(a / size[:, :, None] / size[:, None, :])[:, 0] > _SINGULAR
        if not sound[self._counted].all():
            self._counted &= sound
            return self.reduced(left)
        both, follow = np.concatenate([b, gradient[:, :, None]], axis=2), np.zeros((*b.shape[:2], b.shape[2] + 1))
        follow[sound] = np.linalg.solve(a[sound], both[sound])
        taken = np.einsum("gki,gkj->ij", b, follow)
        matrix, right = n - taken[:, :-1], taken[:, -1] - n_gradient
        told = np.diag(matrix) > _OPEN * np.maximum(np.diag(n), 1e-300)
        return matrix * np.outer(told, told), right * told, follow

    def left(self, follow: Floats, chosen: list[int], change: Floats) -> Floats:
        """(3, n) residuals once these numbers have changed and the grains have followed."""
        step = np.zeros(len(self.tried))
        step[chosen] = change
        of_grains = -(follow[:, :, :-1] @ step + follow[:, :, -1])
        rows = self.found.kernel.jacobian(*self._arguments)
        moved = np.einsum("knc,nc->kn", rows[:, :, :_OF_GRAIN], of_grains[self.found.spots.grain])
        left: Floats = self.residual + moved + rows[:, :, _OF_GRAIN:] @ step
        return left


def _solved(matrix: Floats, right: Floats, chosen: list[int]) -> tuple[Floats, Floats]:
    """Changes of these numbers together, and their standard errors; infinite ones where they cannot be told apart."""
    if not chosen:
        return np.empty(0), np.empty(0)
    part = matrix[np.ix_(chosen, chosen)]
    size = np.sqrt(np.diag(part))
    scaled = part / size[:, None] / size
    if np.linalg.eigvalsh(scaled)[0] < _OPEN:
        return np.zeros(len(chosen)), np.full(len(chosen), np.inf)
    inverse = np.linalg.inv(scaled) / size[:, None] / size
    return inverse @ right[chosen], np.sqrt(np.diag(inverse))


def _pixels_per_unit(found: SpotResiduals, name: str) -> float:
    """By how many pixels a unit of a number moves the spots far out."""
    radius, detector = float(np.percentile(found.ring_radius, 90)), found.detector
    if name.startswith("BC"):
        return 1.0
    turn = np.radians(1.0) * radius / detector.px
    return float(turn * radius / detector.lsd if name in ("ty", "tz") else turn)
