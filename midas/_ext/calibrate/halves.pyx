"""Covariances of grains from sums over their spots, and over halves of them (docs/theory/uncertainty.md#covariance)."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport NAN, sqrt
from libc.string cimport memcpy, memset

from midas._ext.numerics.cholesky cimport cholesky

cdef enum:
    NUMBERS = 12           # of a grain
    SQUARE = 144
    TRIANGLE = 78
    # Sums of one set of spots: slopes and powers of the upper triangle, then pushes
    SUMS = 168
    MOST_SETS = 33         # all spots, and halves of them

#: below this part of its own curvature a number is not determined beside the others
cdef double SINGULAR = 1e-12


cdef struct Solved:
    # What sums say of a grain
    double inverse[SQUARE]
    double variance[NUMBERS]
    double shift[NUMBERS]  # to the minimum of the loss


cdef inline void _spot_sums(const double* rows, Py_ssize_t stride, Py_ssize_t n, Py_ssize_t i,
                            const double[:, ::1] slope, const double[:, ::1] power, const double[:, ::1] push,
                            double* sums) noexcept nogil:
    """The three residuals of spot `i`, of which the derivatives are ``rows[(row n + i) stride]``."""
    cdef double r[3 * NUMBERS]
    cdef double weighted[6 * NUMBERS]
    cdef double s, q
    cdef int row, j, k, at
    for row in range(3):
        memcpy(r + NUMBERS * row, rows + (row * n + i) * stride, NUMBERS * sizeof(double))
        s = slope[row, i]
        q = power[row, i]
        for j in range(NUMBERS):
            weighted[NUMBERS * row + j] = s * r[NUMBERS * row + j]
            weighted[NUMBERS * (row + 3) + j] = q * r[NUMBERS * row + j]
    at = 0
    for j in range(NUMBERS):
        sums[2 * TRIANGLE + j] = push[0, i] * r[j] + push[1, i] * r[NUMBERS + j] + push[2, i] * r[2 * NUMBERS + j]
        for k in range(j, NUMBERS):
            sums[at] = (weighted[j] * r[k] + weighted[NUMBERS + j] * r[NUMBERS + k]
                        + weighted[2 * NUMBERS + j] * r[2 * NUMBERS + k])
            sums[TRIANGLE + at] = (weighted[3 * NUMBERS + j] * r[k] + weighted[4 * NUMBERS + j] * r[NUMBERS + k]
                                   + weighted[5 * NUMBERS + j] * r[2 * NUMBERS + k])
            at += 1


cdef inline void _unpack(const double* triangle, double* square) noexcept nogil:
    cdef int j, k, at = 0
    for j in range(NUMBERS):
        for k in range(j, NUMBERS):
            square[j * NUMBERS + k] = square[k * NUMBERS + j] = triangle[at]
            at += 1


cdef inline void _product(const double* a, const double* b, double* out) noexcept nogil:
    """The product of two 12 × 12 matrices."""
    cdef int i, j, k
    cdef double factor
    memset(out, 0, SQUARE * sizeof(double))
    for i in range(NUMBERS):
        for k in range(NUMBERS):
            factor = a[i * NUMBERS + k]
            for j in range(NUMBERS):
                out[i * NUMBERS + j] += factor * b[k * NUMBERS + j]


cdef inline void _invert(const double* u, double* out) noexcept nogil:
    """The inverse of UᵀU: columns of the inverse of U, which are rows here, with each other."""
    cdef double column[NUMBERS]
    cdef double factor
    cdef int i, j, k
    memset(out, 0, SQUARE * sizeof(double))
    for k in range(NUMBERS):
        memset(column, 0, sizeof(column))
        column[k] = 1.0 / u[k * NUMBERS + k]
        for i in range(k - 1, -1, -1):
            factor = 0.0
            for j in range(i + 1, k + 1):
                factor += u[i * NUMBERS + j] * column[j]
            column[i] = -factor / u[i * NUMBERS + i]
        for i in range(k + 1):
            for j in range(NUMBERS):
                out[i * NUMBERS + j] += column[i] * column[j]


cdef bint _solve(const double* sums, Solved* out, double* half_way) noexcept nogil:
    """Inverse curvature, variances and step; False where the spots do not determine the grain.

    `half_way` becomes the inverse times the power, which times the inverse is the covariance.
    """
    cdef double u[SQUARE]
    cdef double power[SQUARE]
    cdef double scale[NUMBERS]
    cdef int i, j
    _unpack(sums, u)
    for i in range(NUMBERS):
        if not 0.0 < u[i * NUMBERS + i] < 1e300:
            return False
        scale[i] = 1.0 / sqrt(u[i * NUMBERS + i])
    for i in range(NUMBERS):
        for j in range(NUMBERS):
            u[i * NUMBERS + j] *= scale[i] * scale[j]
    if not cholesky(u, NUMBERS, False):
        return False
    for i in range(NUMBERS):
        if not u[i * NUMBERS + i] * u[i * NUMBERS + i] > SINGULAR:
            return False
    _invert(u, out.inverse)
    for i in range(NUMBERS):
        for j in range(NUMBERS):
            out.inverse[i * NUMBERS + j] *= scale[i] * scale[j]
    _unpack(sums + TRIANGLE, power)
    _product(out.inverse, power, half_way)
    for i in range(NUMBERS):
        out.shift[i] = out.variance[i] = 0.0
        for j in range(NUMBERS):
            out.variance[i] += half_way[i * NUMBERS + j] * out.inverse[i * NUMBERS + j]
            out.shift[i] -= out.inverse[i * NUMBERS + j] * sums[2 * TRIANGLE + j]
    return True


cdef inline void _ratios(const double* sums, Py_ssize_t splits, double[:, ::1] ratios) noexcept nogil:
    """The differences of the two halves of every split, over what they should be; NaN where a half does not do."""
    cdef Solved one
    cdef Solved two
    cdef double other[SUMS]
    cdef double work[SQUARE]
    cdef Py_ssize_t split
    cdef int j
    for split in range(splits):
        for j in range(SUMS):
            other[j] = sums[j] - sums[(split + 1) * SUMS + j]
        if _solve(sums + (split + 1) * SUMS, &one, work) and _solve(other, &two, work):
            for j in range(NUMBERS):
                ratios[split, j] = (one.shift[j] - two.shift[j]) / sqrt(one.variance[j] + two.variance[j])


cdef inline void _response(const double* rows, Py_ssize_t stride, Py_ssize_t n, Py_ssize_t first, Py_ssize_t end,
                           const double[:, ::1] slope, const Solved* solved, double[:, ::1] out) noexcept nogil:
    """How the numbers of the grain follow those of the instrument: minus the inverse times their common curvature."""
    cdef double common[NUMBERS]
    cdef const double* r
    cdef Py_ssize_t i, column
    cdef int row, j, k
    for column in range(out.shape[1]):
        memset(common, 0, sizeof(common))
        for row in range(3):
            for i in range(first, end):
                r = rows + (row * n + i) * stride
                for j in range(NUMBERS):
                    common[j] += slope[row, i] * r[j] * r[NUMBERS + column]
        for j in range(NUMBERS):
            out[j, column] = 0.0
            for k in range(NUMBERS):
                out[j, column] -= solved.inverse[j * NUMBERS + k] * common[k]


cdef inline bint _is_split(const unsigned char[:, ::1] halves, Py_ssize_t first, Py_ssize_t end) noexcept nogil:
    """Whether any spot is in a half of the first split."""
    cdef Py_ssize_t i
    if halves.shape[0]:
        for i in range(first, end):
            if halves[0, i]:
                return True
    return False


cdef bint _grain(const double[:, :, ::1] jacobian, const double[:, ::1] slope, const double[:, ::1] power,
                 const double[:, ::1] push, const unsigned char[:, ::1] halves, Py_ssize_t first, Py_ssize_t end,
                 double[:, ::1] covariance, double[:, ::1] response, double[::1] shift,
                 double[:, ::1] ratios) noexcept nogil:
    """All of one grain; whether its spots determine it."""
    cdef double sums[MOST_SETS * SUMS]
    cdef double of_spot[SUMS]
    cdef double work[SQUARE]
    cdef Solved solved
    cdef Py_ssize_t splits = halves.shape[0], n = jacobian.shape[1], stride = jacobian.shape[2], i, split
    cdef int j
    memset(sums, 0, (splits + 1) * SUMS * sizeof(double))
    if not _is_split(halves, first, end):
        splits = 0
    for i in range(first, end):
        _spot_sums(&jacobian[0, 0, 0], stride, n, i, slope, power, push, of_spot)
        for j in range(SUMS):
            sums[j] += of_spot[j]
        for split in range(splits):
            if halves[split, i]:
                for j in range(SUMS):
                    sums[(split + 1) * SUMS + j] += of_spot[j]
    if not _solve(sums, &solved, work):
        return False
    _product(work, solved.inverse, &covariance[0, 0])
    memcpy(&shift[0], solved.shift, sizeof(solved.shift))
    _response(&jacobian[0, 0, 0], stride, n, first, end, slope, &solved, response)
    _ratios(sums, splits, ratios)
    return True


def grain_covariances(const double[:, :, ::1] jacobian, const double[:, ::1] slope, const double[:, ::1] power,
                      const double[:, ::1] push, const unsigned char[:, ::1] halves, const long long[::1] offsets,
                      int threads=1):
    """Covariances of the numbers of grains, and the differences of halves of their spots.

    Parameters
    ----------
    jacobian : (3, n, 12 + m) float64, derivatives of the residuals of every spot by the numbers of its grain, then by
        those of the instrument
    slope, power, push : (3, n) float64, expected second derivative of the loss by each residual, expected square of the
        first one, and that itself
    halves : (s, n) uint8, 1 where a spot is in the first half of each split, at most 32; a spot of a grain that is not
        to be split is in none
    offsets : (g + 1,) int64, grain i has the spots ``offsets[i] : offsets[i + 1]``

    Returns
    -------
    determined : (g,) bool, whether the spots of a grain determine it; of others the following are NaN
    covariance : (g, 12, 12) float64
    response : (g, 12, m) float64, change of the grain's numbers with those of the instrument
    shift : (g, 12) float64, from the numbers to the minimum of the loss
    ratios : (g, s, 12) float64, difference of the fits of two halves over its standard deviation; NaN where a half does
        not determine the grain

    Raises
    ------
    ValueError : lengths that do not fit
    """
    cdef Py_ssize_t g = offsets.shape[0] - 1, n = jacobian.shape[1], i
    if jacobian.shape[0] != 3 or jacobian.shape[2] < NUMBERS or not n == slope.shape[1] == power.shape[1] == (
            push.shape[1]) == halves.shape[1] or not 3 == slope.shape[0] == power.shape[0] == push.shape[0]:
        raise ValueError("every spot must have derivatives by twelve numbers, a slope, a power and a push")
    if halves.shape[0] >= MOST_SETS or g < 0 or offsets[0] < 0 or offsets[g] > n or np.any(np.diff(offsets) < 0):
        raise ValueError("offsets must rise within the spots, and there may be 32 splits")
    m = jacobian.shape[2] - NUMBERS
    covariance_array, response_array = np.full((g, NUMBERS, NUMBERS), NAN), np.full((g, NUMBERS, max(m, 1)), NAN)
    shift_array, ratios_array = np.full((g, NUMBERS), NAN), np.full((g, halves.shape[0], NUMBERS), NAN)
    determined_array = np.zeros(g, np.uint8)
    cdef double[:, :, ::1] covariance = covariance_array, ratios = ratios_array
    cdef double[:, :, ::1] response = np.ascontiguousarray(response_array[:, :, :m])
    cdef double[:, ::1] shift = shift_array
    cdef unsigned char[::1] determined = determined_array
    for i in prange(g, nogil=True, num_threads=threads, schedule="dynamic"):
        if offsets[i + 1] > offsets[i]:
            determined[i] = _grain(jacobian, slope, power, push, halves, offsets[i], offsets[i + 1], covariance[i],
                                   response[i], shift[i], ratios[i])
    return determined_array.astype(bool), covariance_array, np.asarray(response), shift_array, ratios_array
