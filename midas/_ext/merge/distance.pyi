import numpy as np
from numpy.typing import NDArray

def link_by_distance(
    first: NDArray[np.int64], y: NDArray[np.float64], z: NDArray[np.float64], limit: float, threads: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
