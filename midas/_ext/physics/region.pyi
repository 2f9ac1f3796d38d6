from typing import Final

import numpy as np
from numpy.typing import NDArray

VERDICTS: Final[dict[str, int]]

class AcceptedRegion:
    def __init__(
        self,
        *,
        min_eta: float,
        ranges: NDArray[np.float64],
        boxes: NDArray[np.float64],
        mask: NDArray[np.int32] | None = ...,
        mask_side: int = ...,
        px: float = ...,
        closed_above: bool = ...,
    ) -> None: ...
    def verdicts(
        self,
        omega: NDArray[np.float64],
        eta: NDArray[np.float64],
        y: NDArray[np.float64],
        z: NDArray[np.float64],
        threads: int = ...,
    ) -> NDArray[np.uint8]: ...
