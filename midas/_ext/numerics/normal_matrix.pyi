import numpy as np
from numpy.typing import NDArray

def normal_matrix(
    jacobian: NDArray[np.float64], weights: NDArray[np.float64], residuals: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
