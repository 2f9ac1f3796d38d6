import numpy as np
from numpy.typing import NDArray

from midas._ext.index.table import SpotTable
from midas._ext.physics.region import AcceptedRegion

class Indexer:
    def __init__(
        self,
        table: SpotTable,
        *,
        radii: NDArray[np.float64],
        two_theta: NDArray[np.float64],
        rotation_range: NDArray[np.float64],
        ring_g: NDArray[np.float64],
        excluded: NDArray[np.bool_],
        g: NDArray[np.float64],
        theta: NDArray[np.float64],
        hkl_ring: NDArray[np.int32],
        region: AcceptedRegion,
        lsd: float,
        wedge: float,
        exact_wedge: bool,
        r_sample: float,
        h_beam: float,
        position_step: float,
        orientation_step: float,
        margin_omega: float,
        margin_eta: float,
        margin_radius: float,
        margin_radial: float,
        min_completeness: float,
        friedel: bool,
        guard: float = ...,
        tilts: tuple[float, float, float] = ...,
    ) -> None: ...
    def search(
        self, rows: NDArray[np.int64], *, threads: int = ...
    ) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int32]]: ...
    def evaluate(
        self,
        orientations: NDArray[np.float64],
        positions: NDArray[np.float64],
        radii: NDArray[np.float64],
        *,
        threads: int = ...,
    ) -> tuple[NDArray[np.void], NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]: ...
