from typing import Final

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.settings import Bounds, Instrument, Recipe, RecordedSpots, Reflections

REFINED: Final[int]
NOT_INDEXED: Final[int]
NO_VALID_SPOT: Final[int]
NOTHING_MATCHED: Final[int]
NOT_FINITE: Final[int]

class Refiner:
    def __init__(
        self,
        instrument: Instrument,
        region: AcceptedRegion,
        reflections: Reflections,
        recorded: RecordedSpots,
        bounds: Bounds,
        recipe: Recipe,
    ) -> None: ...
    def refine(
        self,
        orientations: NDArray[np.float64],
        positions: NDArray[np.float64],
        offsets: NDArray[np.int64],
        spot_rows: NDArray[np.int64],
        threads: int = ...,
        cells: NDArray[np.float64] | None = ...,
        fit: bool = ...,
    ) -> tuple[NDArray[np.void], NDArray[np.void], NDArray[np.int32], NDArray[np.int32]]: ...
    def linearised(
        self,
        base: NDArray[np.float64],
        x: NDArray[np.float64],
        spot_rows: NDArray[np.int64],
        objective: str,
        euler: bool = ...,
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]: ...
