from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

def minimise_function(
    function: Callable[[NDArray[np.float64]], float],
    start: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    ftol: float = ...,
    xtol: float = ...,
    max_evaluations: int = ...,
) -> tuple[NDArray[np.float64], float, int, int]: ...
