import numpy as np
from numpy.typing import NDArray

BOX_SUM: np.dtype[np.void]
MEASURED: int
TOO_WEAK: int
INCOMPLETE: int

def sum_boxes(
    which: NDArray[np.int64],
    offsets: NDArray[np.int64],
    radial: NDArray[np.float32],
    arc: NDArray[np.float32],
    starts: NDArray[np.int64],
    values: NDArray[np.float32],
    first_frame: NDArray[np.int64],
    omegas: NDArray[np.float64],
    half: NDArray[np.float64],
    expected: NDArray[np.float64],
    first_other: NDArray[np.int64],
    others: NDArray[np.float64],
    threads: int = ...,
) -> NDArray[np.void]: ...
