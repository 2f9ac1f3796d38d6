import numpy as np
from numpy.typing import NDArray

def split_chains(
    chain_first: NDArray[np.int64],
    peaks: NDArray[np.int64],
    intensity: NDArray[np.float64],
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    whole: NDArray[np.uint8],
    part: float,
    deviations: float,
) -> NDArray[np.int64]: ...
