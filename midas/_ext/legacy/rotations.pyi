import numpy as np
from numpy.typing import NDArray

def legacy_rotations(matrices: NDArray[np.float64], nearest: NDArray[np.float64]) -> NDArray[np.float64]: ...
