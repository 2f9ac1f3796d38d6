"""``control.py LIBRARY FUNCTION``: what tests/sanitize/run expects a sanitizer to find in control.c, or not to find."""

from __future__ import annotations

import ctypes
import sys

import numpy as np

import midas._ext.radius

library, function = sys.argv[1:]
assert "sanitize" in midas._ext.radius.__file__, f"{midas._ext.radius.__file__} would be tested"
sums = np.zeros(100_000, np.int32)
arguments = {
    "beyond": (),
    "undefined": (40,),
    "race": (len(sums),),
    "no_race": (len(sums), sums.ctypes.data_as(ctypes.c_void_p)),
}
getattr(ctypes.CDLL(library), function)(*arguments[function])
