import numpy as np
from numpy.typing import NDArray

def ring_thresholds(
    size: int,
    detector: NDArray[np.float64],
    radii: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    half_width: float,
    threads: int = ...,
) -> NDArray[np.float64]: ...
