from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def enumerate_reflections(
    operations: NDArray[np.int32],
    rotations: NDArray[np.int32],
    translations: NDArray[np.int32],
    centrings: NDArray[np.int32],
    limit: int,
    first_k: int,
    first_l: int,
) -> NDArray[np.int32]: ...
def reciprocal_basis(cell: Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]: ...
def smallest_spacing(wavelength: float, lsd: float, r_max: float) -> float: ...
def reflection_table(
    hkl: NDArray[np.int32], cell: Sequence[float] | NDArray[np.float64], wavelength: float, lsd: float, d_min: float
) -> dict[str, NDArray[np.float64] | NDArray[np.int32]]: ...
