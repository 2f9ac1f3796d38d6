import numpy as np
from numpy.typing import NDArray

def format_spots(
    values: NDArray[np.float64],
    columns: int,
    spot_ids: NDArray[np.float64],
    rejected: NDArray[np.uint8],
    rejected_row: tuple[bytes, bytes, bytes],
    begin: int,
    end: int,
    threads: int,
) -> tuple[bytes, bytes]: ...
