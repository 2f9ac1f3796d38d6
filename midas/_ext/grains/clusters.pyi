import numpy as np
from numpy.typing import NDArray

def cluster(
    seeds: NDArray[np.int64],
    solved: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    spots: NDArray[np.int32],
    quaternions: NDArray[np.float64],
    operators: NDArray[np.float64],
    tolerance: float,
    twins: bool = ...,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def distinct(
    keys: NDArray[np.int64],
    positions: NDArray[np.float64],
    quaternions: NDArray[np.float64],
    operators: NDArray[np.float64],
    tolerance: float,
    distance: float,
) -> NDArray[np.bool_]: ...
