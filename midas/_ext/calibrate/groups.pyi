import numpy as np
from numpy.typing import NDArray

def group_pixels(
    counts: NDArray[np.float64],
    masked: NDArray[np.uint8],
    panel_of: NDArray[np.int32],
    detector: NDArray[np.float64],
    panels: NDArray[np.float64],
    lowest: NDArray[np.float64],
    highest: NDArray[np.float64],
    middle: NDArray[np.float64],
    bins: NDArray[np.int64],
    threads: int = ...,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.float64]]: ...
def highest_places(
    starts: NDArray[np.int64],
    x: NDArray[np.float32],
    values: NDArray[np.float64],
    window_of: NDArray[np.int64],
    peaks: NDArray[np.float64],
    reach: NDArray[np.float64],
) -> NDArray[np.float64]: ...
