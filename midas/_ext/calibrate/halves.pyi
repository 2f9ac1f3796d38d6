import numpy as np
from numpy.typing import NDArray

def grain_covariances(
    jacobian: NDArray[np.float64],
    slope: NDArray[np.float64],
    power: NDArray[np.float64],
    push: NDArray[np.float64],
    halves: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    threads: int = ...,
) -> tuple[NDArray[np.bool_], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]: ...
