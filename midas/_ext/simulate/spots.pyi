from typing import Final

import numpy as np
from numpy.typing import NDArray

SPOT_COLUMNS: Final[tuple[str, ...]]

class SpotSimulator:
    def __init__(
        self,
        hkls: NDArray[np.float64],
        detector: NDArray[np.float64],
        shape: tuple[int, int],
        panels: NDArray[np.float64],
        distortion_map: NDArray[np.float64] | None,
        *,
        wavelength: float,
        samples: NDArray[np.float64],
        omega: tuple[float, float, float],
        frames: int,
        wedge: float,
        exact_wedge: bool,
        beam_size: float,
        exact_tilts: bool = ...,
    ) -> None: ...
    def spots(
        self,
        orientations: NDArray[np.float64],
        cells: NDArray[np.float64],
        positions: NDArray[np.float64],
        threads: int = ...,
    ) -> NDArray[np.float64]: ...
