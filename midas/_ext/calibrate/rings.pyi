import numpy as np
from numpy.typing import NDArray

def ring_strains(
    y_px: NDArray[np.float64],
    z_px: NDArray[np.float64],
    tangents: NDArray[np.float64],
    image: NDArray[np.int64],
    panel: NDArray[np.int64],
    detectors: NDArray[np.float64],
    panels: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
