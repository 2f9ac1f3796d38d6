import numpy as np
from numpy.typing import NDArray

def predicted_spots(
    g: NDArray[np.float64],
    positions: NDArray[np.float64],
    lsd: float,
    wavelength: float,
    wedge: float,
    exact: bool,
    tilts: tuple[float, float, float] = ...,
) -> NDArray[np.float64]: ...
def scattering_vectors(
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    omega: NDArray[np.float64],
    positions: NDArray[np.float64],
    lsd: float,
    wavelength: float,
    wedge: float,
    exact: bool,
    tilts: tuple[float, float, float] = ...,
) -> NDArray[np.float64]: ...
def moved_spots(
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    omega: NDArray[np.float64],
    positions: NDArray[np.float64],
    lsd: float,
    wedge: float,
    back: bool,
    tilts: tuple[float, float, float] = ...,
) -> NDArray[np.float64]: ...
def turned_spots(
    y: NDArray[np.float64],
    z: NDArray[np.float64],
    omega: NDArray[np.float64],
    lsd: float,
    wedge: float,
    exact: bool,
    back: bool,
) -> NDArray[np.float64]: ...
