import numpy as np
from numpy.typing import NDArray

class SpotTable:
    def __init__(
        self,
        y: NDArray[np.float64],
        z: NDArray[np.float64],
        omega: NDArray[np.float64],
        eta: NDArray[np.float64],
        radius: NDArray[np.float64],
        deviation: NDArray[np.float64],
        ring: NDArray[np.int32],
        *,
        n_rings: int,
        omega_bin: float,
        margin_omega: float,
        orientation_step: float,
    ) -> None: ...
    def bin_rows(self, ring: int, omega_bin: int) -> list[int]: ...
