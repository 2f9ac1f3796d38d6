"""What the stages after the peak search need to know of the scan: its length, its angles and the size of its frames."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas.archive import Archive
from midas.experiment.angles import wrapped
from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.errors import StageError

#: intervals of omega, degrees
Ranges: TypeAlias = tuple[tuple[float, float], ...]

#: frames whose angles leave a smaller gap than this part of a step follow each other: measured angles jitter
_JITTER = 0.5
#: a gap of omega in a table is wide from so many degrees, and so many times the mean distance of spots, on; by chance
#: one of the latter kind is in one table of hundreds
_WIDE, _MANY = 20.0, 10.0


@dataclass(frozen=True)
class Scan:
    """The analysed part of a scan.

    Parameters
    ----------
    frames : their number, without the skipped ones at the beginning
    shape : rows and columns of a frame
    """

    frames: int
    shape: tuple[int, int]

    @property
    def size(self) -> int:
        """Side of the detector, padded to a square, px."""
        return max(self.shape)

    @classmethod
    def of(cls, layer: Layer, parameters: Parameters) -> Scan:
        """The scan in the layer's archive."""
        with Archive(_archive_of(layer)) as archive:
            total, rows, columns = archive.frames.shape
        frames = total - parameters["SkipFrame"]
        if not 0 < frames <= total:
            raise parameters.error("SkipFrame", f"does not fit a scan of {total} frames")
        return cls(frames, (rows, columns))


def omegas_of(layer: Layer, parameters: Parameters) -> NDArray[np.float64]:
    """(n,) float64, the angle in degrees at which each analysed frame of the layer's archive begins."""
    with Archive(_archive_of(layer)) as archive:
        return archive.omegas[parameters["SkipFrame"] :]


def _archive_of(layer: Layer) -> str:
    if layer.archive is None:
        raise StageError("has no archive, which says how many frames the scan has", file=layer.folder)
    return str(layer.archive)


def covered_ranges(omegas: NDArray[np.float64], step: float) -> Ranges:
    """The intervals of omega that a scan covers (docs/theory/region.md#omegas-that-the-scan-covers).

    Parameters
    ----------
    omegas : (n,) float64, angle in degrees at which each frame begins, in any order
    step : rotation of a frame, degrees, signed; 0 if it is not known

    Returns
    -------
    Ascending pairs in -180 ... 180 degrees, apart from each other; a full turn is (-180, 180). Without a step, which
    makes the frames points, there is no limit: a full turn.

    Examples
    --------
    >>> covered_ranges(np.arange(0.0, 270.0, 0.5), 0.5)
    ((-180.0, -90.0), (0.0, 180.0))
    """
    if step == 0:
        step = _usual_step(omegas)
    width = abs(step)
    if width == 0 or len(omegas) == 0:
        return ((-180.0, 180.0),)
    lows = np.sort(wrapped(np.round(omegas + min(step, 0.0), 9)))
    breaks = np.flatnonzero(np.diff(lows) > width * (1 + _JITTER)) + 1
    runs = [(float(run[0]), float(run[-1]) + width) for run in np.split(lows, breaks)]
    return _without_overlap(runs, _JITTER * width)


def _usual_step(omegas: NDArray[np.float64]) -> float:
    """The median difference of successive angles, degrees; 0 for a single frame."""
    return float(np.median(wrapped(np.diff(omegas)))) if len(omegas) > 1 else 0.0


def _without_overlap(runs: list[tuple[float, float]], tolerance: float) -> Ranges:
    """Ascending intervals that start in -180 ... 180 degrees, the last of which may reach beyond 180, cut there."""
    first, last = runs[0][0], runs[-1][1]
    excess = last - 360.0
    if len(runs) == 1 and excess >= first - tolerance:
        return ((-180.0, 180.0),)
    if excess > -180.0:
        runs[-1] = (runs[-1][0], 180.0)
        if excess >= first - tolerance:
            runs[0] = (-180.0, runs[0][1])
        else:
            runs.insert(0, (-180.0, excess))
    return tuple((round(low, 9), round(high, 9)) for low, high in runs)


def measured_ranges(omegas: NDArray[np.float64]) -> Ranges:
    """The omegas between wide gaps of a table's spots (docs/theory/fit_setup.md#a-table-of-spots-from-elsewhere).

    Parameters
    ----------
    omegas : (n,) float64, degrees

    Returns
    -------
    Ascending pairs in -180 ... 180 degrees; empty where no gap is wide.
    """
    lows = np.sort(wrapped(omegas))
    gaps = np.diff(lows, append=lows[:1] + 360.0)
    narrow = gaps[gaps <= _WIDE]
    if not len(narrow):
        return ()
    between = float(narrow.mean())
    wide = np.flatnonzero((gaps > _WIDE) & (gaps > _MANY * between))
    ranges = []
    for before, last in zip(np.roll(wide, 1), wide, strict=True):
        first = (before + 1) % len(lows)
        low, high = float(lows[first]) - between, float(lows[last]) + between
        ranges.append((low, high + 360.0 if high < low else high))
    cut = [piece for low, high in ranges for piece in _within_a_turn(round(low, 6), round(high, 6))]
    return tuple(sorted(cut))


def _within_a_turn(low: float, high: float) -> Ranges:
    """A range in -180 ... 180 degrees, in two pieces if it crosses the seam."""
    if low < -180.0:
        low, high = low + 360.0, high + 360.0
    return ((low, high),) if high <= 180.0 else ((low, 180.0), (-180.0, round(high - 360.0, 6)))
