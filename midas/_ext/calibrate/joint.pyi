from typing import Final

import numpy as np
from numpy.typing import NDArray

PARAMETERS: Final[tuple[str, ...]]
CONSTANTS: Final[tuple[str, ...]]
GRAIN_COLUMNS: Final[tuple[str, ...]]

Array = NDArray[np.float64]

class Joint:
    grains: Final[int]
    spots: Final[int]
    def __init__(
        self,
        first: NDArray[np.int64],
        pixels: Array,
        omega: Array,
        hkl: Array,
        branch: Array,
        radial: Array,
        detector: NDArray[np.int32],
        panel: NDArray[np.int32],
    ) -> None: ...
    def residuals(
        self, instruments: Array, shifts: Array, ub: Array, positions: Array, threads: int = ...
    ) -> Array: ...
    def jacobian(
        self,
        instruments: Array,
        shifts: Array,
        ub: Array,
        positions: Array,
        columns: NDArray[np.int32],
        panel_columns: NDArray[np.int32],
        m: int,
    ) -> Array: ...
    def normal_equations(
        self,
        instruments: Array,
        shifts: Array,
        ub: Array,
        positions: Array,
        columns: NDArray[np.int32],
        panel_columns: NDArray[np.int32],
        m: int,
        weights: Array,
        threads: int = ...,
    ) -> tuple[Array, Array, Array, Array, Array]: ...
