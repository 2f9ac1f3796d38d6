import numpy as np
from numpy.typing import NDArray

def match_rings(
    radius: NDArray[np.float64], ring_radii: NDArray[np.float64], width: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]: ...
def grain_sizes(
    radius: NDArray[np.float64],
    eta: NDArray[np.float64],
    min_omega: NDArray[np.float64],
    max_omega: NDArray[np.float64],
    intensity: NDArray[np.float64],
    powder: NDArray[np.float64],
    multiplicity: NDArray[np.float64],
    lsd: float,
    omega_step: float,
    gauge: float,
    disc: bool,
) -> dict[str, NDArray[np.float64]]: ...
def sum_by_ring(intensity: NDArray[np.float64], rings: NDArray[np.int64], count: int) -> NDArray[np.float64]: ...
