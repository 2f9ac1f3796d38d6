import numpy as np
from numpy.typing import NDArray

def read_out_correction(
    omega: NDArray[np.float64], z_px: NDArray[np.float64], gap_step: float, size: int, threads: int
) -> NDArray[np.float64]: ...
def laboratory_spots(
    y_px: NDArray[np.float64],
    z_px: NDArray[np.float64],
    omega: NDArray[np.float64],
    detector: NDArray[np.float64],
    wavelength: float,
    wedge: float,
    exact: bool,
    threads: int,
) -> NDArray[np.float64]: ...
def ring_misfit(
    y_px: NDArray[np.float64],
    z_px: NDArray[np.float64],
    tangents: NDArray[np.float64],
    detector: NDArray[np.float64],
    threads: int,
) -> tuple[float, int]: ...
