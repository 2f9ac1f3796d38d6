import numpy as np
from numpy.typing import NDArray

def argsort_tolerant(keys: NDArray[np.float64]) -> NDArray[np.int64]: ...
