from typing import Final

import numpy as np

FITTED_PEAK: Final[np.dtype[np.void]]
