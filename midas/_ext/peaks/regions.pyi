from collections.abc import Sequence
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas._ext.peaks.frame_regions import Regions

#: what the pixels of a frame may be
_Pixel: TypeAlias = np.integer | np.floating

MOST_MAXIMA_OF_PEAKS: int
LEAST_PIXELS_OF_PEAK: int

class _Selection(Protocol):
    @property
    def size(self) -> int: ...
    @property
    def starts(self) -> NDArray[np.int64]: ...
    @property
    def lengths(self) -> NDArray[np.int64]: ...
    @property
    def positions(self) -> NDArray[np.int32]: ...
    @property
    def limits(self) -> NDArray[_Pixel]: ...
    @property
    def thresholds(self) -> NDArray[np.float64]: ...
    @property
    def dark(self) -> NDArray[np.float64]: ...
    @property
    def flood(self) -> NDArray[np.float64]: ...
    @property
    def masked(self) -> NDArray[np.bool_]: ...

class FrameScanner:
    @property
    def size(self) -> int: ...
    base: int
    def __init__(
        self,
        selection: _Selection,
        blanks: Sequence[float] | NDArray[np.float64],
        *,
        current: float = ...,
        saturation: float = ...,
        min_pixels: int = ...,
        max_pixels: int = ...,
        max_peaks: int = ...,
        legacy: bool = ...,
    ) -> None: ...
    def scan(self, raw: NDArray[_Pixel]) -> Regions: ...
