import numpy as np

INDEXED_SEED: np.dtype[np.void]
