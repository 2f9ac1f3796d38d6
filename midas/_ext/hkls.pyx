"""Reflections of a crystal: which there are, and where they fall (docs/theory/hkls.md)."""
import numpy as np

from libc.math cimport fabs, sqrt
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy

from midas._ext.physics.geometry cimport DEG2RAD, ring_radius_of, two_theta_of
from midas._ext.physics.lattice cimport bragg_angle, bragg_spacing, reciprocal_basis as _reciprocal_basis

from midas._ext.numerics.ordering import argsort_tolerant

cdef enum:
    TRANSLATION_UNITS = 24  # translations of symmetry operations are whole numbers of 1/24
    MOST_OPERATIONS = 48    # no point group has more


cdef struct HklList:
    int* data              # h, k, l of each
    Py_ssize_t used        # numbers, not reflections
    Py_ssize_t capacity
    bint failed


cdef void _append(HklList* hkls, int h, int k, int l) noexcept nogil:
    cdef int* grown
    if hkls.used + 3 > hkls.capacity:
        grown = <int*>realloc(hkls.data, 2 * hkls.capacity * sizeof(int))
        if grown == NULL:
            hkls.failed = True
            return
        hkls.data = grown
        hkls.capacity *= 2
    hkls.data[hkls.used] = h
    hkls.data[hkls.used + 1] = k
    hkls.data[hkls.used + 2] = l
    hkls.used += 3


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


cdef void _add_family(const int* members, Py_ssize_t count, unsigned char[:, :, ::1] seen, int limit,
                      HklList* found) noexcept nogil:
    """List -h and h of each member, and mark them as seen."""
    cdef Py_ssize_t m
    cdef const int* h
    for m in range(count):
        h = members + 3 * m
        _mark(seen, limit, h[0], h[1], h[2])
        _mark(seen, limit, -h[0], -h[1], -h[2])
        _append(found, -h[0], -h[1], -h[2])
        _append(found, h[0], h[1], h[2])


cdef void _enumerate(const int[:, :, ::1] operations, const int[:, :, ::1] rotations, const int[:, ::1] translations,
                     const int[:, ::1] centrings, int limit, int first_k, int first_l,
                     unsigned char[:, :, ::1] seen, HklList* found) noexcept nogil:
    cdef int[3] index
    cdef int[3 * MOST_OPERATIONS] members
    cdef int h, k, l
    cdef Py_ssize_t count
    seen[limit, limit, limit] = 1
    for h in range(limit + 1):
        for k in range(first_k, limit + 1):
            for l in range(first_l, limit + 1):
                if seen[h + limit, k + limit, l + limit] or found.failed:
                    continue
                index[0] = h
                index[1] = k
                index[2] = l
                if not _is_absent(index, rotations, translations, centrings):
                    count = _family(index, operations, members)
                    _add_family(members, count, seen, limit, found)


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
    (n, 3) int32; of each member -h and then h, without the very last row (docs/theory/hkls.md#enumeration)
    """
    cdef HklList found
    cdef Py_ssize_t count
    if operations.shape[0] > MOST_OPERATIONS or translations.shape[0] != rotations.shape[0]:
        raise ValueError("one translation per rotation, and at most 48 operations")
    if limit < 1 or not (-limit <= first_k <= 0 and -limit <= first_l <= 0):
        raise ValueError("a limit of at least 1 and first indices between -limit and 0")
    side = 2 * limit + 1
    cdef unsigned char[:, :, ::1] seen = np.zeros((side, side, side), dtype=np.uint8)
    found.used = 0
    found.capacity = 3 << 12
    found.data = <int*>malloc(found.capacity * sizeof(int))
    found.failed = found.data == NULL
    try:
        with nogil:
            _enumerate(operations, rotations, translations, centrings, limit, first_k, first_l, seen, &found)
        if found.failed:
            raise MemoryError()
        count = found.used // 3
        hkl = np.empty((count, 3), dtype=np.int32)
        _copy_out(&found, hkl)
        return hkl[:max(count - 1, 0)]
    finally:
        free(found.data)


cdef void _copy_out(const HklList* found, int[:, ::1] hkl) noexcept:
    if found.used:
        memcpy(&hkl[0, 0], found.data, found.used * sizeof(int))


def reciprocal_basis(cell):
    """Reciprocal basis B of a cell (docs/theory/hkls.md#reciprocal-basis).

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
    return bragg_spacing(wavelength, DEG2RAD * (0.5 * two_theta_of(r_max, lsd)))


cdef void _fill_vectors(const int[:, ::1] hkl, const double[:, ::1] basis, double[:, ::1] g,
                        double[::1] minus_d) noexcept nogil:
    """g = B h from left to right (it fixes the sign of printed zeros), and -d."""
    cdef Py_ssize_t n
    cdef int i
    cdef double h, k, l
    for n in range(hkl.shape[0]):
        h = hkl[n, 0]
        k = hkl[n, 1]
        l = hkl[n, 2]
        for i in range(3):
            g[n, i] = basis[i, 0] * h + basis[i, 1] * k + basis[i, 2] * l
        minus_d[n] = -1.0 / sqrt(g[n, 0] * g[n, 0] + g[n, 1] * g[n, 1] + g[n, 2] * g[n, 2])


cdef void _number_rings(const double[::1] d_spacing, double[::1] ring) noexcept nogil:
    """A ring ends before the first spacing that is at least 0.0001 Å from that of its first reflection."""
    cdef Py_ssize_t row
    cdef double ring_d = 0.0, number = 0.0
    for row in range(d_spacing.shape[0]):
        if row == 0 or not fabs(d_spacing[row] - ring_d) < 0.0001:
            number += 1.0
            ring_d = d_spacing[row]
        ring[row] = number


cdef void _fill_angles(const double[::1] d_spacing, double wavelength, double lsd, double[::1] theta,
                       double[::1] two_theta, double[::1] ring_radius) noexcept nogil:
    cdef Py_ssize_t row
    for row in range(d_spacing.shape[0]):
        theta[row] = bragg_angle(wavelength, d_spacing[row])
        two_theta[row] = 2.0 * theta[row]
        ring_radius[row] = ring_radius_of(two_theta[row], lsd)


def reflection_table(const int[:, ::1] hkl, cell, double wavelength, double lsd, double d_min):
    """Order, rings and angles of reflections (docs/theory/hkls.md#steps).

    Parameters
    ----------
    hkl : (n, 3) int32, in the order of enumeration: spacings within 0.001 Å keep it
    cell : a, b, c in Å, alpha, beta, gamma in degrees
    wavelength : Å
    lsd : sample to detector, µm
    d_min : the list ends before the first row with a smaller spacing, Å

    Returns
    -------
    dict of (k,) arrays: h, k, l (int32), d_spacing (Å), ring, g1, g2, g3 (Å⁻¹), theta, two_theta (degrees),
    ring_radius (µm), float64
    """
    cdef Py_ssize_t total = hkl.shape[0], count = 0
    cdef const double[:, ::1] basis = reciprocal_basis(cell)
    vectors = np.empty((total, 3), dtype=np.float64)
    cdef double[:, ::1] g = vectors
    cdef double[::1] minus_d = np.empty(total, dtype=np.float64)
    with nogil:
        _fill_vectors(hkl, basis, g, minus_d)
    order = argsort_tolerant(minus_d)
    cdef const long long[::1] rows = order
    while count < total and not -minus_d[rows[count]] < d_min:
        count += 1
    order = order[:count]
    d_spacing = -np.asarray(minus_d)[order]
    ring, theta, two_theta, ring_radius = (np.empty(count, dtype=np.float64) for _ in range(4))
    _number_rings(d_spacing, ring)
    _fill_angles(d_spacing, wavelength, lsd, theta, two_theta, ring_radius)
    columns = dict(zip("hkl", np.asarray(hkl)[order].T))
    columns |= dict(zip(("g1", "g2", "g3"), vectors[order].T))
    return columns | {"d_spacing": d_spacing, "ring": ring, "theta": theta, "two_theta": two_theta,
                      "ring_radius": ring_radius}
