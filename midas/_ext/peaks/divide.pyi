import numpy as np
from numpy.typing import NDArray

from midas._ext.peaks.frame_regions import Regions

MOST_WORK: float

def fit_costs(regions: Regions, *, by_least_squares: bool) -> NDArray[np.float64]: ...
def nearest_peaks(regions: Regions, parted: NDArray[np.uint8]) -> NDArray[np.int64]: ...
