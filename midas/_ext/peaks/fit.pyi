import numpy as np
from numpy.typing import NDArray

from midas._ext.peaks.frame_regions import Regions

def solve_regions(
    regions: Regions,
    y_bc: float,
    z_bc: float,
    panels: NDArray[np.float64],
    *,
    method: str = ...,
    poisson: bool = ...,
    threads: int = ...,
) -> NDArray[np.void]: ...
