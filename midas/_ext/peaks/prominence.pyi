import numpy as np
from numpy.typing import NDArray

def significant_maxima(
    y: NDArray[np.int16],
    z: NDArray[np.int16],
    counts: NDArray[np.float64],
    offsets: NDArray[np.int64],
    maxima: NDArray[np.int32],
    maxima_offsets: NDArray[np.int64],
    sigmas: float,
) -> NDArray[np.uint8]: ...
