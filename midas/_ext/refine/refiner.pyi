from typing import Final

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.region import AcceptedRegion

REFINED: Final[int]
NOT_INDEXED: Final[int]
NO_VALID_SPOT: Final[int]
NOTHING_MATCHED: Final[int]
NOT_FINITE: Final[int]

class Refiner:
    def __init__(
        self,
        *,
        lsd: float,
        wavelength: float,
        wedge: float,
        cell: NDArray[np.float64],
        margin_lengths: float,
        margin_angles: float,
        r_sample: float,
        h_beam: float,
        region: AcceptedRegion,
        hkl: NDArray[np.float64],
        group_first: NDArray[np.int32],
        spots: NDArray[np.float64],
        spot_group: NDArray[np.int32],
        rejected: NDArray[np.uint8],
        sigma_spot: float,
        sigma_omega: float,
        method: str,
        solver: str,
        largest_radius: bool,
    ) -> None: ...
    def rows(
        self,
        seeds: NDArray[np.float64],
        offsets: NDArray[np.int64],
        spot_rows: NDArray[np.int64],
        radii: NDArray[np.float64],
        records: NDArray[np.float64],
        spots: NDArray[np.float64],
        counts: NDArray[np.int32],
        status: NDArray[np.int32],
        threads: int,
    ) -> None: ...
    def linearised(
        self,
        base: NDArray[np.float64],
        x: NDArray[np.float64],
        spot_rows: NDArray[np.int64],
        objective: str,
        euler: bool = ...,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
