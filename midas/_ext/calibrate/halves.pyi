import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

def grain_covariances(
    jacobian: Array,
    slope: Array,
    power: Array,
    push: Array,
    halves: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    threads: int = ...,
) -> tuple[NDArray[np.bool_], Array, Array, Array, Array]: ...
