import numpy as np

exp: np.ufunc
log: np.ufunc
sin: np.ufunc
cos: np.ufunc
tan: np.ufunc
arcsin: np.ufunc
arccos: np.ufunc
arctan: np.ufunc
arctan2: np.ufunc
hypot: np.ufunc
cbrt: np.ufunc
erf: np.ufunc
