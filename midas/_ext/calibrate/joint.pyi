from typing import Final

import numpy as np
from numpy.typing import NDArray

PARAMETERS: Final[tuple[str, ...]]
CONSTANTS: Final[tuple[str, ...]]
GRAIN_COLUMNS: Final[tuple[str, ...]]

class Joint:
    grains: Final[int]
    spots: Final[int]
    def __init__(
        self,
        first: NDArray[np.int64],
        pixels: NDArray[np.float64],
        omega: NDArray[np.float64],
        hkl: NDArray[np.float64],
        branch: NDArray[np.float64],
        radial: NDArray[np.float64],
        detector: NDArray[np.int32],
        panel: NDArray[np.int32],
    ) -> None: ...
    def residuals(
        self,
        instruments: NDArray[np.float64],
        shifts: NDArray[np.float64],
        ub: NDArray[np.float64],
        positions: NDArray[np.float64],
        threads: int = ...,
    ) -> NDArray[np.float64]: ...
    def jacobian(
        self,
        instruments: NDArray[np.float64],
        shifts: NDArray[np.float64],
        ub: NDArray[np.float64],
        positions: NDArray[np.float64],
        columns: NDArray[np.int32],
        panel_columns: NDArray[np.int32],
        m: int,
    ) -> NDArray[np.float64]: ...
    def normal_equations(
        self,
        instruments: NDArray[np.float64],
        shifts: NDArray[np.float64],
        ub: NDArray[np.float64],
        positions: NDArray[np.float64],
        columns: NDArray[np.int32],
        panel_columns: NDArray[np.int32],
        m: int,
        weights: NDArray[np.float64],
        threads: int = ...,
    ) -> tuple[
        NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]
    ]: ...
