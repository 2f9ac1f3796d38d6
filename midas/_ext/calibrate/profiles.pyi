import numpy as np
from numpy.typing import NDArray

RING_PEAK: np.dtype[np.void]

def fit_groups(
    starts: NDArray[np.int64],
    pixel: NDArray[np.int32],
    x: NDArray[np.float32],
    values: NDArray[np.float64],
    tails: NDArray[np.float32],
    columns: int,
    detector: NDArray[np.float64],
    panels: NDArray[np.float64],
    window_of: NDArray[np.int64],
    panel_of: NDArray[np.int64],
    middle: NDArray[np.float64],
    peaks: NDArray[np.float64],
    fwhm: NDArray[np.float64],
    mixing: NDArray[np.float64],
    shift: NDArray[np.float64],
    threads: int = ...,
) -> NDArray[np.void]: ...
