import numpy as np
from numpy.typing import NDArray

def step_in_box(
    jacobian: NDArray[np.float64],
    residuals: NDArray[np.float64],
    x: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    damping: float,
) -> tuple[NDArray[np.float64], float]: ...
