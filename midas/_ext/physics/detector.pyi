from typing import Final

import numpy as np
from numpy.typing import NDArray

DEG2RAD: Final[float]
RAD2DEG: Final[float]

def pixels_to_plane(
    y_px: NDArray[np.float64], z_px: NDArray[np.float64], detector: NDArray[np.float64]
) -> NDArray[np.float64]: ...
def plane_to_pixels(
    y: NDArray[np.float64], z: NDArray[np.float64], detector: NDArray[np.float64]
) -> NDArray[np.float64]: ...
def angles_to_plane(two_theta: NDArray[np.float64], eta: NDArray[np.float64], lsd: float) -> NDArray[np.float64]: ...
def bragg_angles(d_spacing: NDArray[np.float64], wavelength: float) -> NDArray[np.float64]: ...
def shifted_pixels(
    y_px: NDArray[np.float64], z_px: NDArray[np.float64], panels: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]: ...
