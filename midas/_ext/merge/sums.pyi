from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

def fold_chains(
    chain_first: NDArray[np.int64],
    peaks: NDArray[np.int64],
    values: NDArray[np.float64],
    weight: int,
    folds: Sequence[tuple[str, int]],
    out: NDArray[np.float64],
    threads: int,
) -> None: ...
