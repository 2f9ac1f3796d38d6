"""The elementary functions of the kernels for arrays, as NumPy's universal functions (docs/theory/elementary.md).

``exp``, ``log``, ``sin``, ``cos``, ``tan``, ``arcsin``, ``arccos``, ``arctan``, ``arctan2``, ``hypot``, ``cbrt`` and
``erf`` of double precision, with the names that NumPy has for them, under which they may stand in for its own.
"""
cimport cython

from midas._ext.numerics.elementary cimport acos as _acos, asin as _asin, atan as _atan, atan2 as _atan2
from midas._ext.numerics.elementary cimport cbrt as _cbrt, cos as _cos, erf as _erf, exp as _exp, hypot as _hypot
from midas._ext.numerics.elementary cimport log as _log, sin as _sin, tan as _tan


@cython.ufunc
cdef double exp(double x) noexcept nogil:
    return _exp(x)


@cython.ufunc
cdef double log(double x) noexcept nogil:
    return _log(x)


@cython.ufunc
cdef double sin(double x) noexcept nogil:
    return _sin(x)


@cython.ufunc
cdef double cos(double x) noexcept nogil:
    return _cos(x)


@cython.ufunc
cdef double tan(double x) noexcept nogil:
    return _tan(x)


@cython.ufunc
cdef double arcsin(double x) noexcept nogil:
    return _asin(x)


@cython.ufunc
cdef double arccos(double x) noexcept nogil:
    return _acos(x)


@cython.ufunc
cdef double arctan(double x) noexcept nogil:
    return _atan(x)


@cython.ufunc
cdef double arctan2(double y, double x) noexcept nogil:
    return _atan2(y, x)


@cython.ufunc
cdef double hypot(double x, double y) noexcept nogil:
    return _hypot(x, y)


@cython.ufunc
cdef double cbrt(double x) noexcept nogil:
    return _cbrt(x)


@cython.ufunc
cdef double erf(double x) noexcept nogil:
    return _erf(x)
