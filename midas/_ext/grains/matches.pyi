from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas._ext.grains.reflections import ReflectionModel

class SharpMatches(NamedTuple):
    offsets: NDArray[np.int64]
    spot: NDArray[np.int64]
    hkl: NDArray[np.int32]
    branch: NDArray[np.int8]
    distance: NDArray[np.float64]
    expected: NDArray[np.int32]

class SharpMatcher:
    def __init__(
        self,
        y: NDArray[np.float64],
        z: NDArray[np.float64],
        omega: NDArray[np.float64],
        ring: NDArray[np.int32],
        rings: NDArray[np.int32],
        sigma_spot: float,
        sigma_omega: float,
        window: float,
    ) -> None: ...
    def match(
        self,
        model: ReflectionModel,
        u: NDArray[np.float64],
        position: NDArray[np.float64],
        cell: NDArray[np.float64],
        threads: int = ...,
    ) -> SharpMatches: ...
    def covers(
        self, y: NDArray[np.float64], z: NDArray[np.float64], omega: NDArray[np.float64], ring: NDArray[np.int32]
    ) -> NDArray[np.bool_]: ...
