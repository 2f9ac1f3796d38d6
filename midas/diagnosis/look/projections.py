"""The scan in three images: maximum, mean and median of its frames (docs/theory/diagnosis.md#projections)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.archive import Pixel
from midas.archive.writer import Frame
from midas.convert.source import made
from midas.runtime.parallel import ordered_map

Floats = NDArray[np.float32]

#: frames that are kept for the median and for the noise take at most this much memory
_SAMPLE_BYTES = 192 << 20
_FEWEST, _MOST = 5, 41


@dataclass(frozen=True)
class Projections:
    """Images in the orientation of the raw frames.

    Parameters
    ----------
    raw_maximum : (rows, columns) in the type of the pixels
    maximum, mean, median : (rows, columns) float32, counts above the dark; the median is that of the sample
    sample : (k, rows, columns) in the type of the pixels, frames at even distances, as they were read
    sampled : (k,) their numbers
    count : frames that were looked at
    """

    raw_maximum: NDArray[Pixel]
    maximum: Floats
    mean: Floats
    median: Floats
    sample: NDArray[Pixel]
    sampled: NDArray[np.int64]
    count: int


def project(
    frames: Iterable[Frame],
    count: int,
    dark: NDArray[np.float64],
    *,
    threads: int,
    advance: Callable[[int], object],
) -> Projections:
    """Read the frames once.

    Parameters
    ----------
    frames : `count` of them, in order
    dark : (rows, columns) mean of the dark frames
    threads : that decode
    advance : is told of every frame
    """
    maximum: NDArray[Pixel] | None = None
    total = np.zeros(dark.shape)
    sample: list[NDArray[Pixel]] = []
    sampled: list[int] = []
    wanted: frozenset[int] = frozenset()
    for number, frame in enumerate(ordered_map(made, frames, threads)):
        if maximum is None:
            maximum = frame.copy()
            wanted = _evenly(count, frame.nbytes)
        np.maximum(maximum, frame, out=maximum)
        total += frame
        if number in wanted:
            sample.append(frame.copy())
            sampled.append(number)
        advance(1)
    if maximum is None:
        raise ValueError("no frame")
    stack = np.stack(sample)
    return Projections(
        maximum,
        (maximum - dark).astype(np.float32),
        (total / count - dark).astype(np.float32),
        (np.median(stack, axis=0) - dark).astype(np.float32),
        stack,
        np.array(sampled),
        count,
    )


def _evenly(count: int, frame_bytes: int) -> frozenset[int]:
    """Numbers of frames at even distances, as many as are good and fit into memory."""
    most = int(np.clip(_SAMPLE_BYTES // frame_bytes, _FEWEST, _MOST))
    return frozenset(np.unique(np.linspace(0, count - 1, min(most, count)).round().astype(int)).tolist())
