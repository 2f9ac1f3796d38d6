import numpy as np
from numpy.typing import NDArray

def order_peaks(
    first: NDArray[np.int64],
    eta: NDArray[np.float64],
    intensity: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    threads: int,
) -> tuple[NDArray[np.int64], NDArray[np.int64], int]: ...
