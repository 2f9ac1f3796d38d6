"""The frames of an archive with what corrects them, pixel by pixel, as the peak search sees them.

See docs/theory/peaks.md#selected-pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray

from midas.archive import Archive, Pixel
from midas.experiment.angles import wrapped
from midas.experiment.correction import flood_plane, masked_pixels, mean_dark
from midas.experiment.image import raw_numbers
from midas.parameters import Parameters

#: bytes of a pixel that can be full; larger counters never are
_COUNTER = 2


class CorrectedFrames:
    """The frames of an archive, corrected like those of the peak search, but without an upper limit.

    Parameters
    ----------
    archive : open as long as frames are read
    operations : ``ImTransOpt``
    skip : leading dark frames
    current : factor on the counts
    blanks : raw values that are none

    Attributes
    ----------
    omegas : (n,) float64, of the frames after the skipped ones, degrees in -180 ... 180
    numbers : (N, N) int32, raw pixel that each pixel [y, z] of the image shows; -1 for none, or a masked one
    """

    def __init__(
        self, archive: Archive, operations: tuple[int, ...], *, skip: int, current: float, blanks: tuple[float, ...]
    ):
        self._frames, self._skip = archive.frames, skip
        self.omegas = wrapped(archive.omegas[skip:])
        flood = flood_plane(archive)
        masked = masked_pixels(archive, flood)
        numbers = raw_numbers(archive.frames.shape[1:], operations)
        numbers[(numbers >= 0) & masked.ravel()[numbers]] = -1
        self.numbers = np.ascontiguousarray(numbers)
        dark = mean_dark(archive, slice(None), skip)
        self._dark = np.zeros(1, np.float32) if dark is None else dark.astype(np.float32)
        gain = np.full(1, current) if flood is None else current / np.where(masked, 1.0, flood).ravel()
        self._gain = gain.astype(np.float32)
        self._blanks = np.array(blanks, np.float64)

    @classmethod
    def of(cls, archive: Archive, parameters: Parameters) -> Self:
        """The frames as the parameters of the archive say."""
        return cls(
            archive,
            parameters["ImTransOpt"],
            skip=parameters["SkipFrame"],
            current=parameters["ReferenceRingCurrent"],
            blanks=tuple(parameters[key] for key in ("BadPxIntensity", "GapIntensity") if key in parameters),
        )

    def __len__(self) -> int:
        return len(self.omegas)

    @property
    def step(self) -> float:
        """Usual distance of neighbouring frames, degrees; 0 for a single frame."""
        steps = np.diff(np.sort(self.omegas))
        steps = steps[steps > 1e-6]
        return float(np.median(steps)) if len(steps) else 0.0

    def saturation(self, limit: float) -> float:
        """The counts above which a pixel is saturated: a finite limit, or what the largest raw value may come to."""
        type_ = self._frames.dtype
        if np.isfinite(limit) or type_.kind not in "iu" or type_.itemsize > _COUNTER:
            return limit
        return float((np.iinfo(type_.name).max - self._dark.max()) * self._gain.min()) - 0.5

    def buffer(self) -> NDArray[Pixel]:
        """Room for a frame."""
        return np.empty(self._frames.shape[1:], self._frames.dtype)

    def read_into(self, frame: int, buffer: NDArray[Pixel]) -> None:
        """The raw values of a frame, counted from 0 after the skipped ones; any number of threads may do so at once."""
        self._frames.read_into(frame + self._skip, buffer)

    def counts(self, raw: NDArray[Pixel], numbers: NDArray[np.int32]) -> NDArray[np.float64]:
        """The corrected counts of these pixels of a raw frame; NaN for those that have none."""
        values = raw.reshape(-1)[numbers].astype(np.float64)
        nothing = (numbers < 0) | np.isin(values, self._blanks)
        dark, gain = (plane.reshape(-1) for plane in (self._dark, self._gain))
        dark, gain = (plane if len(plane) == 1 else plane[numbers] for plane in (dark, gain))
        return np.where(nothing, np.nan, (values - dark) * gain)

    def mean_counts(self, frames: Sequence[int]) -> NDArray[np.float64]:
        """(rows x columns,) mean corrected counts of frames by raw pixel; NaN where one of them has no value.

        Masked pixels have their counts, too; `numbers` leaves them out.
        """
        buffer, total, blank = self.buffer(), np.zeros(self._frames.shape[1:]), np.zeros(self._frames.shape[1:], bool)
        for frame in frames:
            self.read_into(frame, buffer)
            total += buffer
            for value in self._blanks.tolist():
                blank |= buffer == value
        mean = total.reshape(-1) / max(len(frames), 1)
        mean -= self._dark.reshape(-1)
        mean *= self._gain.reshape(-1)
        mean[blank.reshape(-1)] = np.nan
        return mean
