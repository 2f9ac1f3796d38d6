"""Elementary functions whose bits are the same on every processor (docs/theory/elementary.md).

Kernels take exp, sin and the like from here and not from the C library, whose variants differ from processor to
processor. What is exact by IEEE 754 (sqrt, fabs, floor, fmod, copysign ...) may come from there.
"""
from midas._ext.numerics.circular cimport cos, sin, sincos, tan
from midas._ext.numerics.exponential cimport exp, log
from midas._ext.numerics.inverse cimport acos, asin, atan, atan2
from midas._ext.numerics.roots cimport cbrt, erf, hypot
