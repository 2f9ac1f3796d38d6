"""Frames of a scan: Gaussian spots in pixels and omega, background, noise and a detector that saturates."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, erf, floor, sqrt

import numpy as np
from numpy.typing import NDArray

from .tracing import Spots

Array = NDArray[np.float64]

#: standard deviations within which a spot is drawn
_REACH = 4.0

_erf = np.frompyfunc(erf, 1, 1)


@dataclass(frozen=True)
class Scan:
    """A rotation in equal steps; frame f covers the angles from start + f step on."""

    start: float = -90.0
    step: float = 1.0
    frames: int = 180

    @property
    def end(self) -> float:
        """Where the last frame ends."""
        return self.start + self.frames * self.step


@dataclass(frozen=True)
class Recording:
    """How a beam becomes counts.

    Parameters
    ----------
    counts : of a spot of strength 1, all frames and pixels together
    width : standard deviation on the detector, px
    spread : standard deviation in omega, degrees
    background : counts of every pixel without spots
    noise : whether counts are drawn from Poisson distributions
    full_scale : counts at which a pixel is full
    seed : of the noise
    """

    counts: float = 40000.0
    width: float = 1.0
    spread: float = 0.3
    background: float = 0.0
    noise: bool = False
    full_scale: int = 65535
    seed: int = 0


def expose(spots: Spots, shape: tuple[int, int], scan: Scan, recording: Recording) -> NDArray[np.uint16]:
    """The (frames, rows, columns) stack that a detector writes.

    A spot's counts are integrated over every pixel and over the angles of every frame. It appears once in every turn
    of the scan.
    """
    image = np.zeros((scan.frames, *shape))
    low, high = min(scan.start, scan.end), max(scan.start, scan.end)
    width = recording.spread / abs(scan.step)
    drawn = zip(spots.omega, spots.y_px, spots.z_px, spots.strength, strict=True)
    for omega, y, z, strength in drawn:
        if not (np.isfinite(y) and np.isfinite(z)):
            continue
        (columns, across), (rows, along) = (
            _shares(y, recording.width, shape[1]),
            _shares(z, recording.width, shape[0]),
        )
        if not len(across) or not len(along):
            continue
        spot = recording.counts * strength * np.outer(along, across)
        for turn in range(floor((low - omega) / 360), ceil((high - omega) / 360) + 1):
            # Frame f covers [f, f + 1) of (omega - start) / step: f + 1/2 is its middle.
            middle = (omega + 360 * turn - scan.start) / scan.step - 0.5
            stack, during = _shares(middle, width, scan.frames)
            if len(during):
                image[stack, rows, columns] += during[:, None, None] * spot
    image += recording.background
    if recording.noise:
        image = np.random.default_rng(recording.seed).poisson(image).astype(np.float64)
    return np.minimum(np.rint(image), recording.full_scale).astype(np.uint16)


def _shares(middle: float, width: float, count: int) -> tuple[slice, Array]:
    """Cells 0 ... count - 1 that a Gaussian reaches, and its share in each; cell n covers n - 1/2 to n + 1/2."""
    first = max(floor(middle - _REACH * width + 0.5), 0)
    last = min(ceil(middle + _REACH * width - 0.5), count - 1)
    edges = np.arange(first, max(last, first - 1) + 2) - 0.5
    inside = 0.5 * _erf((edges - middle) / (width * sqrt(2))).astype(np.float64)
    return slice(first, max(last, first - 1) + 1), np.diff(inside)
