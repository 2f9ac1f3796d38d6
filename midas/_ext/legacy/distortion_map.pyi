import numpy as np
from numpy.typing import NDArray

def distortion_map(
    detector: NDArray[np.float64], shape: tuple[int, int], panels: NDArray[np.float64]
) -> NDArray[np.float64]: ...
