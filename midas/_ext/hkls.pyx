"""Reflections of a crystal: which there are, and where they fall (spec chapter 01 §4.1)."""
import numpy as np

from libc.math cimport asin, atan, fabs, sin, sqrt, tan
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG
from midas._ext.physics.lattice cimport reciprocal_basis as _reciprocal_basis

from midas._ext.numerics.ordering import argsort_tolerant

cdef enum:
    TRANSLATION_UNITS = 24  # translations of symmetry operations are whole numbers of 1/24
    MOST_OPERATIONS = 48    # no point group has more


cdef struct Rows:
    int* data
    Py_ssize_t used
    Py_ssize_t capacity
    bint failed


cdef void _append(Rows* rows, int h, int k, int l) noexcept nogil:
    cdef int* grown
    if rows.used + 3 > rows.capacity:
        grown = <int*>realloc(rows.data, 2 * rows.capacity * sizeof(int))
        if grown == NULL:
            rows.failed = True
            return
        rows.data = grown
        rows.capacity *= 2
    rows.data[rows.used] = h
    rows.data[rows.used + 1] = k
    rows.data[rows.used + 2] = l
    rows.used += 3


cdef inline void _image(const int* h, const int* rotation, int* out) noexcept nogil:
    """The row vector h times the row-major 3×3 `rotation`."""
    cdef int j
    for j in range(3):
        out[j] = h[0] * rotation[j] + h[1] * rotation[3 + j] + h[2] * rotation[6 + j]


cdef inline bint _same(const int* a, const int* b, int sign) noexcept nogil:
    return a[0] == sign * b[0] and a[1] == sign * b[1] and a[2] == sign * b[2]


cdef inline bint _fractional(const int* h, const int* translation) noexcept nogil:
    return (h[0] * translation[0] + h[1] * translation[1] + h[2] * translation[2]) % TRANSLATION_UNITS != 0


cdef bint _is_absent(const int* h, const int[:, :, ::1] rotations, const int[:, ::1] translations,
                     const int[:, ::1] centrings) noexcept nogil:
    """Whether an operation maps h onto itself with a phase."""
    cdef int[3] image
    cdef Py_ssize_t i
    for i in range(centrings.shape[0]):
        if _fractional(h, &centrings[i, 0]):
            return True
    for i in range(rotations.shape[0]):
        _image(h, &rotations[i, 0, 0], image)
        if _same(image, h, 1) and _fractional(h, &translations[i, 0]):
            return True
    return False


cdef int _family(const int* h, const int[:, :, ::1] operations, int* members) noexcept nogil:
    """Images of h in the order of the operations, one of each Friedel pair; how many."""
    cdef int[3] image
    cdef int count = 0, m
    cdef Py_ssize_t i
    for i in range(operations.shape[0]):
        _image(h, &operations[i, 0, 0], image)
        for m in range(count):
            if _same(image, members + 3 * m, 1) or _same(image, members + 3 * m, -1):
                break
        else:
            memcpy(members + 3 * count, image, 3 * sizeof(int))
            count += 1
    return count


cdef inline void _mark(unsigned char[:, :, ::1] seen, int limit, int h, int k, int l) noexcept nogil:
    # Equivalents may lie outside the box, where the enumeration does not come.
    if -limit <= h <= limit and -limit <= k <= limit and -limit <= l <= limit:
        seen[h + limit, k + limit, l + limit] = 1


def enumerate_reflections(const int[:, :, ::1] operations, const int[:, :, ::1] rotations,
                          const int[:, ::1] translations, const int[:, ::1] centrings, int limit, int first_k,
                          int first_l):
    """Allowed reflections, family after family, in the order that the ring numbers rest on.

    Parameters
    ----------
    operations : (m, 3, 3) int32, the ordered operations that make the families
    rotations, translations : (s, 3, 3) and (s, 3) int32, all symmetry operations; translations in units of 1/24
    centrings : (c, 3) int32, lattice translations in units of 1/24
    limit : largest index of a family's first member: 0 <= h <= limit, first_k <= k <= limit, first_l <= l <= limit
    first_k, first_l : 0 or -limit

    Returns
    -------
    (n, 3) int32; of each member -h and then h, without the very last row (spec chapter 01 §4.1 step 3)
    """
    cdef Rows rows
    cdef int[3] index
    cdef int[3 * MOST_OPERATIONS] members
    cdef int h, k, ell, m
    cdef Py_ssize_t count
    cdef int* member
    if operations.shape[0] > MOST_OPERATIONS or translations.shape[0] != rotations.shape[0]:
        raise ValueError("one translation per rotation, and at most 48 operations")
    if limit < 1 or not (-limit <= first_k <= 0 and -limit <= first_l <= 0):
        raise ValueError("a limit of at least 1 and first indices between -limit and 0")
    side = 2 * limit + 1
    cdef unsigned char[:, :, ::1] seen = np.zeros((side, side, side), dtype=np.uint8)
    rows.used = 0
    rows.capacity = 3 << 12
    rows.data = <int*>malloc(rows.capacity * sizeof(int))
    rows.failed = rows.data == NULL
    with nogil:
        seen[limit, limit, limit] = 1
        for h in range(limit + 1):
            for k in range(first_k, limit + 1):
                for ell in range(first_l, limit + 1):
                    if seen[h + limit, k + limit, ell + limit] or rows.failed:
                        continue
                    index[0] = h
                    index[1] = k
                    index[2] = ell
                    if _is_absent(index, rotations, translations, centrings):
                        continue
                    count = _family(index, operations, members)
                    for m in range(count):
                        member = members + 3 * m
                        _mark(seen, limit, member[0], member[1], member[2])
                        _mark(seen, limit, -member[0], -member[1], -member[2])
                        _append(&rows, -member[0], -member[1], -member[2])
                        _append(&rows, member[0], member[1], member[2])
    try:
        if rows.failed:
            raise MemoryError()
        count = rows.used // 3
        found = np.empty((count, 3), dtype=np.int32)
        _copy_out(&rows, found)
        return found[:max(count - 1, 0)]
    finally:
        free(rows.data)


cdef void _copy_out(const Rows* rows, int[:, ::1] out) noexcept:
    if rows.used:
        memcpy(&out[0, 0], rows.data, rows.used * sizeof(int))


def reciprocal_basis(cell):
    """Reciprocal basis B of a cell (spec chapter 01 §4.1 step 4).

    Parameters
    ----------
    cell : a, b, c in Å, alpha, beta, gamma in degrees

    Returns
    -------
    (3, 3) float64; columns a*, b*, c* in Å⁻¹ without 2π, in the crystal frame: a* along x, c along z
    """
    cdef const double[::1] numbers = np.ascontiguousarray(cell, dtype=np.float64)
    if numbers.shape[0] != 6:
        raise ValueError("a cell is six numbers")
    basis = np.empty((3, 3), dtype=np.float64)
    cdef double[:, ::1] view = basis
    _reciprocal_basis(&numbers[0], &view[0, 0])
    return basis


def smallest_spacing(double wavelength, double lsd, double r_max):
    """Lattice spacing in Å whose ring has the radius `r_max` (µm)."""
    return wavelength / (2.0 * sin(DEG2RAD * (0.5 * (RAD2DEG * atan(r_max / lsd)))))


cdef void _fill_vectors(const int[:, ::1] hkl, const double[:, ::1] basis, double[:, ::1] vectors,
                        double[::1] minus_d) noexcept nogil:
    """g = B h from left to right (it fixes the sign of printed zeros), and -d."""
    cdef Py_ssize_t n
    cdef int i
    cdef double h, k, ell
    for n in range(hkl.shape[0]):
        h = hkl[n, 0]
        k = hkl[n, 1]
        ell = hkl[n, 2]
        for i in range(3):
            vectors[n, i] = basis[i, 0] * h + basis[i, 1] * k + basis[i, 2] * ell
        minus_d[n] = -1.0 / sqrt(vectors[n, 0] * vectors[n, 0] + vectors[n, 1] * vectors[n, 1]
                                 + vectors[n, 2] * vectors[n, 2])


cdef void _fill_columns(const int[:, ::1] hkl, const double[:, ::1] vectors, const double[::1] minus_d,
                        const long long[::1] order, double wavelength, double lsd, double[:, ::1] out) noexcept nogil:
    cdef Py_ssize_t row, n
    cdef int i
    cdef double d, theta, ring_d = 0.0, ring = 0.0
    for row in range(out.shape[1]):
        n = order[row]
        d = -minus_d[n]
        if row == 0 or not fabs(d - ring_d) < 0.0001:
            ring += 1.0
            ring_d = d
        theta = RAD2DEG * asin(wavelength / (2.0 * d))
        for i in range(3):
            out[i, row] = hkl[n, i]
            out[5 + i, row] = vectors[n, i]
        out[3, row] = d
        out[4, row] = ring
        out[8, row] = theta
        out[9, row] = 2.0 * theta
        out[10, row] = lsd * tan(DEG2RAD * (2.0 * theta))


def reflection_table(const int[:, ::1] hkl, cell, double wavelength, double lsd, double d_min):
    """Order, rings and angles of reflections (spec chapter 01 §4.1 steps 4-8).

    Parameters
    ----------
    hkl : (n, 3) int32, in the order of enumeration: spacings within 0.001 Å keep it
    cell : a, b, c in Å, alpha, beta, gamma in degrees
    wavelength : Å
    lsd : sample to detector, µm
    d_min : the list ends before the first row with a smaller spacing, Å

    Returns
    -------
    (11, k) float64: h, k, l, d (Å), ring, g1, g2, g3 (Å⁻¹), theta, two_theta (degrees), radius (µm)
    """
    cdef Py_ssize_t total = hkl.shape[0], count = 0
    cdef const double[:, ::1] basis = reciprocal_basis(cell)
    cdef double[:, ::1] vectors = np.empty((total, 3), dtype=np.float64)
    cdef double[::1] minus_d = np.empty(total, dtype=np.float64)
    with nogil:
        _fill_vectors(hkl, basis, vectors, minus_d)
    cdef const long long[::1] order = argsort_tolerant(minus_d)
    while count < total and not -minus_d[order[count]] < d_min:
        count += 1
    table = np.empty((11, count), dtype=np.float64)
    cdef double[:, ::1] out = table
    with nogil:
        _fill_columns(hkl, vectors, minus_d, order, wavelength, lsd, out)
    return table
