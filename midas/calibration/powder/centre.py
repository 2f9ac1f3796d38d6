"""Where the rings of an image have their centre, without a guess (docs/theory/calibration.md#start-without-a-guess)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, optimize

from midas.calibration.powder.image import PowderImage
from midas.experiment.noise import PER_MAD, robust_spread

Array = NDArray[np.float64]
Floats = NDArray[np.float32]
Mask = NDArray[np.bool_]

#: pixels along a side of the image on which the centre is sought
_COARSE = 512
#: widths of the smoothing before gradients are taken, of the box of the background, coarse px
_SMOOTHINGS, _BOX = (1.5, 4.0), 21
#: pixels by which centres are compared, quickly and in the end
_QUICK, _PIXELS = 60000, 150000
#: pixels that vote, cell of the votes in coarse px, and how far around the image they are counted, in its sides
_VOTERS, _CELL, _AROUND = 8000, 4, 1.0
#: centres of each smoothing that are looked at closely, and how far apart they are in cells
_CANDIDATES, _APART = 3, 8
#: the signal is cut off at these multiples of its spread, so that no spot outweighs a ring
_LOWEST, _HIGHEST = -3.0, 6.0
#: how far the centre may lie from the middle of the image, and what a lean may shift there, in half diagonals
_FARTHEST, _STEEPEST = 3.0, 0.3
#: bins of the radius by which candidates are compared, coarse px
_FINE = 2.0


@dataclass(frozen=True)
class Centre:
    """The common centre of the rings.

    Parameters
    ----------
    y, z : px
    lean_y, lean_z : a pixel dy, dz from the centre at distance r lies on the ring of radius
        r / (1 - lean_y dy - lean_z dz), 1/px: a tilt, but for the square of its sine
    contrast : part of the variance of the signal that is rings
    """

    y: float
    z: float
    lean_y: float
    lean_z: float
    contrast: float

    def radius(self, dy: NDArray[np.floating], dz: NDArray[np.floating]) -> NDArray[np.floating]:
        """Radius (px) of the rings that pixels dy, dz from the centre lie on."""
        radius: NDArray[np.floating] = np.sqrt(dy * dy + dz * dz) / np.maximum(
            1 - self.lean_y * dy - self.lean_z * dz, 0.2
        )
        return radius


def compressed(counts: Array, used: Mask) -> Floats:
    """Counts that grow as their logarithm above the noise, and as they are below it."""
    steps = np.diff(counts, axis=1)[used[:, 1:] & used[:, :-1]][:200000]
    noise = robust_spread(steps, 0.0) / np.sqrt(2) if len(steps) else 0.0
    if noise == 0.0:  # most pixels have no count at all
        noise = float(steps.std()) / np.sqrt(2) if len(steps) else 1.0
    return np.arcsinh(counts / (noise or 1.0), dtype=np.float32)


def find_centre(image: PowderImage, thorough: bool = False) -> Centre:
    """The centre of the rings of an image, inside or beside it.

    Parameters
    ----------
    image : its masked pixels count nothing
    thorough : whether to look at every pixel, for the weakest rings, at three times the cost

    Returns
    -------
    Centre; there always is one, whose `contrast` tells what it is worth
    """
    counts, used, factor = binned(image, _COARSE)
    if not used.any():
        return Centre(len(image.counts) / 2, len(image.counts) / 2, 0.0, 0.0, 0.0)
    signal = _signal(compressed(counts, used), used)
    look, quick = (_Look.of(signal, used, signal.size if thorough else most) for most in (_PIXELS, _QUICK))
    places = [place for width in _SMOOTHINGS for place in _voted(signal, used, width)]
    found = look.refined(max(map(quick.approached, places), key=lambda place: look.contrast(place, _FINE)))
    # the middle of a coarse pixel is the middle of its pixels
    middle = (factor - 1) / 2
    return Centre(
        found.y * factor + middle,
        found.z * factor + middle,
        found.lean_y / factor,
        found.lean_z / factor,
        found.contrast,
    )


def binned(image: PowderImage, side: int) -> tuple[Array, Mask, int]:
    """An image of about `side` pixels along a side: means of blocks, which of them are known, and their width in px.

    A block is known when half of its pixels are.
    """
    factor = max(1, round(len(image.counts) / side))
    blocks = len(image.counts) // factor
    inside = slice(0, blocks * factor)
    used = ~image.masked[inside, inside]
    if factor == 1:
        return image.counts, used, 1
    counts = np.where(used, image.counts[inside, inside], 0.0)
    shape = (blocks, factor, blocks, factor)
    number = used.reshape(shape).sum(axis=(1, 3))
    mean = counts.reshape(shape).sum(axis=(1, 3)) / np.maximum(number, 1)
    return mean, 2 * number >= factor * factor, factor


def _signal(values: Floats, used: Mask) -> Floats:
    """Values without what is smooth in them, in units of their spread, cut off; 0 where nothing is known."""
    weight = ndimage.uniform_filter(used.astype(np.float32), _BOX, mode="constant")
    smooth = ndimage.uniform_filter(np.where(used, values, 0), _BOX, mode="constant") / np.maximum(weight, 1e-3)
    signal = np.where(used, values - smooth, 0)
    spread = PER_MAD * np.median(np.abs(signal[used]))
    return np.clip(signal / (spread or 1.0), _LOWEST, _HIGHEST).astype(np.float32)


def _voted(signal: Floats, used: Mask, smoothing: float) -> list[tuple[float, float]]:
    """Places that most lines along gradients pass, the best first."""
    weight = ndimage.gaussian_filter(used.astype(np.float32), smoothing, mode="constant")
    smooth = ndimage.gaussian_filter(signal, smoothing, mode="constant") / np.maximum(weight, 0.05)
    slope_z, slope_y = np.gradient(smooth)
    steepness = np.hypot(slope_y, slope_z)
    whole = ndimage.binary_erosion(used, iterations=round(2 * smoothing), border_value=0)
    if not whole.any():
        return [(signal.shape[1] / 2, signal.shape[0] / 2)]
    least = np.quantile(steepness[whole], 0.8)
    z, y = np.nonzero(whole & (steepness >= least) & (steepness > 0))
    step = max(1, len(y) // _VOTERS)
    y, z = y[::step], z[::step]
    direction = np.column_stack([slope_y[z, y], slope_z[z, y]]) / steepness[z, y, None]
    return _crossings(y.astype(float), z.astype(float), direction, len(signal))


def _crossings(y: Array, z: Array, direction: NDArray[np.floating], side: int) -> list[tuple[float, float]]:
    margin = _AROUND * side
    cells = int((side + 2 * margin) / _CELL)
    reach = np.arange(-(side + margin) * 1.5, (side + margin) * 1.5, _CELL)
    votes = np.zeros(cells * cells)
    for part in range(0, len(y), 1000):
        rows = slice(part, part + 1000)
        columns = ((y[rows, None] + reach * direction[rows, :1] + margin) / _CELL).astype(np.int32)
        lines = ((z[rows, None] + reach * direction[rows, 1:] + margin) / _CELL).astype(np.int32)
        inside = (columns >= 0) & (columns < cells) & (lines >= 0) & (lines < cells)
        votes += np.bincount((lines * cells + columns)[inside], minlength=cells * cells)
    grid = ndimage.gaussian_filter(votes.reshape(cells, cells), 1.0)
    grid -= ndimage.gaussian_filter(grid, 10.0)
    places = []
    for _ in range(_CANDIDATES):
        row, column = divmod(int(grid.argmax()), cells)
        places.append(((column + 0.5) * _CELL - margin, (row + 0.5) * _CELL - margin))
        grid[max(row - _APART, 0) : row + _APART + 1, max(column - _APART, 0) : column + _APART + 1] = -np.inf
    return places


@dataclass(frozen=True)
class _Look:
    """Pixels that tell rings from none, to compare centres by."""

    y: Floats
    z: Floats
    signal: Floats
    reach: float
    middle: tuple[float, float]

    @classmethod
    def of(cls, signal: Floats, used: Mask, most: int) -> _Look:
        """About `most` of the pixels."""
        z, y = np.nonzero(used)
        step = max(1, round(len(y) / most)) | 1  # an odd step visits all columns
        y, z = y[::step], z[::step]
        return cls(
            y.astype(np.float32),
            z.astype(np.float32),
            signal[z, y],
            float(np.hypot(*signal.shape)) / 2,
            (signal.shape[1] / 2, signal.shape[0] / 2),
        )

    def contrast(self, place: Array, bins: float) -> float:
        """Part of the variance of the signal that depends on the radius alone.

        Parameters
        ----------
        place : y, z of the centre, and by how many px its lean shifts a pixel at the distance `reach`
        bins : of the radius, px
        """
        if np.hypot(*(place[:2] - self.middle)) > _FARTHEST * self.reach:
            return 0.0
        dy, dz = self.y - np.float32(place[0]), self.z - np.float32(place[1])
        radius = np.sqrt(dy * dy + dz * dz)
        if len(place) > 2:
            if np.hypot(*place[2:]) > _STEEPEST * self.reach:
                return 0.0
            lean = np.asarray(place[2:], np.float32) / np.float32(self.reach**2)
            radius /= np.maximum(1 - lean[0] * dy - lean[1] * dz, np.float32(0.2))
        index = np.maximum(radius / np.float32(bins), 0).astype(np.int32)
        number = np.bincount(index)
        total = np.bincount(index, self.signal)
        mean = self.signal.mean()
        between = (total * total / np.maximum(number, 1)).sum() - mean * mean * len(self.signal)
        total_variance = float(((self.signal - mean) ** 2).sum())
        by_chance = np.count_nonzero(number) / len(self.signal)
        return float(between) / total_variance - by_chance if total_variance > 0 else 0.0

    def approached(self, voted: tuple[float, float]) -> Array:
        """The best centre near a place, by coarse rings."""
        place, axes = np.array(voted), self._axes(*voted)
        for step in (8.0, 4.0, _FINE):
            place = self._climb(place, axes * step, step)
        return place

    def refined(self, place: Array) -> Centre:
        """The best centre near a place, and how the rings lean."""
        place = np.append(self._climb(place, np.eye(2), 1.0), [0.0, 0.0])
        simplex = place + np.vstack([np.zeros(4), np.diag([1.0, 1.0, 6.0, 6.0])])
        best = optimize.minimize(
            lambda at: -self.contrast(at, 1.0),
            place,
            method="Nelder-Mead",
            options={"initial_simplex": simplex, "xatol": 0.05, "fatol": 1e-5, "maxfev": 160},
        )
        lean = best.x[2:] / self.reach**2
        return Centre(float(best.x[0]), float(best.x[1]), float(lean[0]), float(lean[1]), float(-best.fun))

    def _axes(self, y: float, z: float) -> Array:
        """(2, 2) unit steps along the line to the middle of the image, and across."""
        along = np.array([self.middle[0] - y, self.middle[1] - z])
        length = float(np.hypot(*along))
        along = along / length if length > self.reach / 2 else np.array([1.0, 0.0])
        return np.array([along, [-along[1], along[0]]])

    def _climb(self, place: Array, steps: Array, bins: float) -> Array:
        """Step by step to where no step helps."""
        best = self.contrast(place, bins)
        for _ in range(20):
            around = [place + i * steps[0] + j * steps[1] for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]
            values = [self.contrast(at, bins) for at in around]
            if max(values) <= best:
                break
            best, place = max(values), around[int(np.argmax(values))]
        return place
