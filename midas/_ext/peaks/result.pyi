from typing import Final

import numpy as np

SATURATED: Final[int]
FITTED_PEAK: Final[np.dtype[np.void]]
