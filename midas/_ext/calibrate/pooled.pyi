import numpy as np
from numpy.typing import NDArray

def tails_of_neighbours(
    starts: NDArray[np.int64], x: NDArray[np.float32], neighbours: NDArray[np.float64], threads: int = ...
) -> NDArray[np.float32]: ...
def pooled_profiles(
    starts: NDArray[np.int64],
    x: NDArray[np.float32],
    values: NDArray[np.float64],
    tails: NDArray[np.float32],
    window_of: NDArray[np.int64],
    peaks: NDArray[np.float64],
    found: NDArray[np.float64],
    used: NDArray[np.uint8],
    windows: int,
    bin_px: float,
    half: int,
) -> NDArray[np.float64]: ...
def pixel_profile(
    x: NDArray[np.float64], fwhm: float, mixing: float, g_y: float, g_z: float
) -> NDArray[np.float64]: ...
