from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas._ext.merge.chains import Chains

#: offsets, y and z of the pixels of a frame's peaks
_Pixels: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int16]]

def link_by_pixels(
    chains: Chains,
    label_map: NDArray[np.int32],
    rows: NDArray[np.int64],
    pixels: _Pixels,
    next_rows: NDArray[np.int64],
    next_pixels: _Pixels,
) -> None: ...
