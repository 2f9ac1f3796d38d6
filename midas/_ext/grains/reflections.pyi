from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.settings import Instrument

class PredictedReflections(NamedTuple):
    crystal: NDArray[np.int32]
    hkl: NDArray[np.int32]
    ring: NDArray[np.int32]
    branch: NDArray[np.int8]
    omega_recorded: NDArray[np.float64]
    y_plane: NDArray[np.float64]
    z_plane: NDArray[np.float64]
    eta: NDArray[np.float64]
    lorentz: NDArray[np.float64]
    accepted: NDArray[np.bool_]

class ReflectionModel:
    ring: NDArray[np.int32]
    def __init__(
        self,
        hkl: NDArray[np.float64],
        ring: NDArray[np.int32],
        instrument: Instrument,
        region: AcceptedRegion,
    ) -> None: ...
    def predicted(
        self,
        u: NDArray[np.float64],
        position: NDArray[np.float64],
        cell: NDArray[np.float64],
        threads: int = ...,
    ) -> PredictedReflections: ...
