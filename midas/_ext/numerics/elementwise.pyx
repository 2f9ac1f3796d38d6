"""The elementary functions of the kernels for arrays, as NumPy's universal functions (docs/theory/elementary.md).

``exp``, ``log``, ``sin``, ``cos``, ``tan``, ``arcsin``, ``arccos``, ``arctan``, ``arctan2``, ``hypot``, ``cbrt`` and
``erf`` of double precision, with the names that NumPy has for them, under which they may stand in for its own. NaN
stays NaN without a warning.
"""
cimport cython
from libc.math cimport INFINITY

from midas._ext.numerics.elementary cimport acos as _acos, asin as _asin, atan as _atan, atan2 as _atan2
from midas._ext.numerics.elementary cimport cbrt as _cbrt, cos as _cos, erf as _erf, exp as _exp, hypot as _hypot
from midas._ext.numerics.elementary cimport log as _log, sin as _sin, tan as _tan


@cython.ufunc
cdef double exp(double x) noexcept nogil:
    return _exp(x) if x == x else x


@cython.ufunc
cdef double log(double x) noexcept nogil:
    return _log(x) if x == x else x


@cython.ufunc
cdef double sin(double x) noexcept nogil:
    return _sin(x) if x == x else x


@cython.ufunc
cdef double cos(double x) noexcept nogil:
    return _cos(x) if x == x else x


@cython.ufunc
cdef double tan(double x) noexcept nogil:
    return _tan(x) if x == x else x


@cython.ufunc
cdef double arcsin(double x) noexcept nogil:
    return _asin(x) if x == x else x


@cython.ufunc
cdef double arccos(double x) noexcept nogil:
    return _acos(x) if x == x else x


@cython.ufunc
cdef double arctan(double x) noexcept nogil:
    return _atan(x) if x == x else x


@cython.ufunc
cdef double arctan2(double y, double x) noexcept nogil:
    return _atan2(y, x) if x == x and y == y else x + y


@cython.ufunc
cdef double hypot(double x, double y) noexcept nogil:
    # Comparisons of NaN would warn, and the compiler may do them before it knows.
    cdef double length = _hypot(x if x == x else 1.0, y if y == y else 1.0)
    return length if (x == x and y == y) or length == INFINITY else x + y


@cython.ufunc
cdef double cbrt(double x) noexcept nogil:
    return _cbrt(x) if x == x else x


@cython.ufunc
cdef double erf(double x) noexcept nogil:
    return _erf(x) if x == x else x
