"""What some frames of a scan show on the rings and beside them, when the peak search found nothing there.

See docs/theory/diagnosis.md#strong-pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.peaks.mask import ring_thresholds
from midas.archive import Archive, FrameStack
from midas.diagnosis.maxima import ABOVE_NOISE, LEAST_NOISE, strongest, summits
from midas.experiment.correction import mean_dark
from midas.experiment.detector import DetectorGeometry
from midas.experiment.image import raw_numbers
from midas.experiment.noise import robust_spread
from midas.parameters import Parameters

Floats = NDArray[np.float64]

#: pixels that are read, at most (bounds the time), and frames
_MOST_PIXELS = 2e8
_FEWEST_FRAMES, _MOST_FRAMES = 8, 200


@dataclass(frozen=True)
class RingLight:
    """One ring of RingThresh in the sampled frames.

    Parameters
    ----------
    ring, threshold : as given
    brightest : pixel of the band, counts above the dark; NaN where the ring is beside the detector
    """

    ring: int
    threshold: float
    brightest: float


@dataclass(frozen=True)
class FrameSample:
    """The largest value of every pixel in some frames of the scan.

    Parameters
    ----------
    frames : how many were looked at
    rings : what is on the rings
    level, noise : median and robust spread of the pixels of a frame, counts above the dark
    beyond_limit : share of the ring pixels above their threshold that are above UpperBoundThreshold too
    y_px, z_px : (k,) the strongest maxima, wherever they are, px in the transformed image
    """

    frames: int
    rings: tuple[RingLight, ...]
    level: float
    noise: float
    beyond_limit: float
    y_px: Floats
    z_px: Floats

    @property
    def sensible(self) -> float:
        """A threshold well above the noise, counts."""
        return float(np.ceil(self.level + ABOVE_NOISE * max(self.noise, LEAST_NOISE)))


def sample_frames(
    archive: Archive, parameters: Parameters, detector: DetectorGeometry, radii: dict[int, float], threads: int
) -> FrameSample:
    """Look at frames of the scan, evenly over it.

    Parameters
    ----------
    parameters : of the archive
    radii : ring -> radius (µm), of all rings of the list
    """
    stack = archive.frames
    skip = parameters["SkipFrame"]
    shape = stack.shape[1:]
    count = int(np.clip(_MOST_PIXELS // (shape[0] * shape[1]), _FEWEST_FRAMES, _MOST_FRAMES))
    chosen = np.unique(np.linspace(skip, len(stack) - 1, count).round().astype(int))
    mean = mean_dark(archive, slice(None), skip)
    dark = np.zeros(shape) if mean is None else mean.reshape(shape)
    brightest, one = _largest(stack, chosen, parameters), stack[int(chosen[0])].astype(np.float64) - dark
    level = float(np.median(one))
    noise = robust_spread(one, level)
    usable = np.ones(shape, bool) if archive.mask is None or not len(archive.mask) else archive.mask[0] == 0
    counts = np.where(usable & np.isfinite(brightest), brightest - dark, -np.inf)
    numbers = raw_numbers(shape, parameters["ImTransOpt"])
    y, z = np.nonzero(numbers >= 0)
    values = counts.ravel()[numbers[y, z]]
    raw = brightest.ravel()[numbers[y, z]]
    rings, beyond = _on_rings(parameters, detector, radii, numbers.shape[0], (y, z), values, raw, threads)
    kept = strongest(summits(counts).ravel()[numbers[y, z]], level, noise)
    return FrameSample(len(chosen), rings, level, noise, beyond, y[kept].astype(float), z[kept].astype(float))


def _largest(stack: FrameStack, chosen: NDArray[np.int64], parameters: Parameters) -> Floats:
    """Largest value of each pixel, blanks left out."""
    blanks = [parameters[key] for key in ("BadPxIntensity", "GapIntensity") if key in parameters]
    largest: NDArray[np.generic] | None = None
    for number in chosen:
        frame = stack[int(number)]
        for blank in blanks:
            frame = np.where(frame == blank, np.zeros_like(frame), frame)
        largest = frame if largest is None else np.maximum(largest, frame)
    assert largest is not None
    return largest.astype(np.float64)


def _on_rings(
    parameters: Parameters,
    detector: DetectorGeometry,
    radii: dict[int, float],
    size: int,
    places: tuple[NDArray[np.int64], NDArray[np.int64]],
    values: Floats,
    raw: Floats,
    threads: int,
) -> tuple[tuple[RingLight, ...], float]:
    """Each ring of RingThresh that is in the list, and the share of its light that is beyond the limit."""
    listed = [(ring, threshold) for ring, threshold in parameters.rings() if ring in radii]
    if not listed:
        return (), 0.0
    # The bands as the peak search has them, marked with the number of the ring in place of its threshold.
    marks = ring_thresholds(
        size, detector.packed(), np.array([radii[ring] for ring, _ in listed]) / detector.px,
        np.arange(1.0, len(listed) + 1), parameters.positive("Width") / detector.px, threads,
    )[places]  # fmt: skip
    rings, lit, beyond = [], 0, 0
    for mark, (ring, threshold) in enumerate(listed, 1):
        own = marks == mark
        rings.append(RingLight(ring, threshold, float(values[own].max()) if own.any() else float("nan")))
        above = own & (values >= threshold)
        lit += int(above.sum())
        beyond += int((above & (raw > parameters["UpperBoundThreshold"])).sum())
    return tuple(rings), beyond / lit if lit else 0.0
