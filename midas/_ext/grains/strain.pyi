import numpy as np
from numpy.typing import NDArray

def fable_strain(
    cells: NDArray[np.float64], orientations: NDArray[np.float64], reference: NDArray[np.float64], threads: int = ...
) -> NDArray[np.float64]: ...
def kenesei_strain(
    offsets: NDArray[np.int64],
    normals: NDArray[np.float64],
    relative: NDArray[np.float64],
    bound: float,
    threads: int = ...,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]: ...
def kenesei_residuals(
    offsets: NDArray[np.int64],
    normals: NDArray[np.float64],
    relative: NDArray[np.float64],
    strain: NDArray[np.float64],
    threads: int = ...,
) -> NDArray[np.float64]: ...
def lattice_spacings(
    y: NDArray[np.float64], z: NDArray[np.float64], lsd: float, wavelength: float
) -> NDArray[np.float64]: ...
