import numpy as np
from numpy.typing import NDArray

def fit_blend(
    counts: NDArray[np.float64],
    background: NDArray[np.float64],
    radial: NDArray[np.float64],
    arc: NDArray[np.float64],
    omegas: NDArray[np.float64],
    step: float,
    start: NDArray[np.float64],
    widths: NDArray[np.float64],
    reach: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
