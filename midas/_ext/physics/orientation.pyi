import numpy as np
from numpy.typing import NDArray

def misorientations(
    p: NDArray[np.float64], q: NDArray[np.float64], operators: NDArray[np.float64]
) -> NDArray[np.float64]: ...
