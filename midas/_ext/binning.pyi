from typing import Final

import numpy as np
from numpy.typing import NDArray

WINDOW: Final[np.dtype[np.void]]

def bin_count(size: float) -> tuple[int, bool]: ...
def spot_windows(
    eta: NDArray[np.float64],
    omega: NDArray[np.float64],
    radius: NDArray[np.float64],
    margin_eta: float,
    margin_omega: float,
    step: float,
    eta_bin: float,
    omega_bin: float,
    threads: int,
) -> NDArray[np.void]: ...
def fill_bins(
    rows: NDArray[np.int32],
    windows: NDArray[np.void],
    begin: int,
    eta_bins: int,
    offset: int,
    records: NDArray[np.void],
    threads: int,
) -> NDArray[np.int32]: ...
