import numpy as np
from numpy.typing import NDArray

SOLUTION: np.dtype[np.void]
MATCHED_SPOT: np.dtype[np.void]

def grain_radii(
    offsets: NDArray[np.int64],
    spot_rows: NDArray[np.int64],
    radii: NDArray[np.float64],
    rejected: NDArray[np.uint8],
    largest: bool,
) -> NDArray[np.float64]: ...
