import numpy as np
from numpy.typing import NDArray

def draw_counts(
    bit_generator: np.random.BitGenerator, cumulative: NDArray[np.float64], first: int, out: NDArray[np.uint16]
) -> None: ...
