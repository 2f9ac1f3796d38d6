from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

#: what the pixels of a frame may be
_Pixel: TypeAlias = np.integer | np.floating

def box_pixels(
    radius: NDArray[np.float64],
    eta: NDArray[np.float64],
    reach_r: NDArray[np.float64],
    reach_arc: NDArray[np.float64],
    detector: NDArray[np.float64],
    panels: NDArray[np.float64],
    numbers: NDArray[np.int32],
    threads: int = ...,
) -> tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]: ...
def gather(
    frame: NDArray[_Pixel],
    dark: NDArray[np.float32],
    gain: NDArray[np.float32],
    blanks: NDArray[np.float64],
    boxes: NDArray[np.int64],
    slots: NDArray[np.int64],
    offsets: NDArray[np.int64],
    numbers: NDArray[np.int32],
    starts: NDArray[np.int64],
    values: NDArray[np.float32],
) -> None: ...
