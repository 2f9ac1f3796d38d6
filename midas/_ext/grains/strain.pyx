"""Strain of grains from their cells and from the spacings of their spots."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport fabs, sqrt

from midas._ext.numerics.cholesky cimport cholesky, cholesky_solve
from midas._ext.physics.geometry cimport two_theta_radians
from midas._ext.physics.lattice cimport bragg_spacing, direct_basis
from midas._ext.physics.rotation cimport matrix_product

cdef enum:
    N = 6                  # components of a symmetric strain tensor
    ACTIVE_SETS = 729      # each component free, at its lower or at its upper bound

cdef double SINGULAR = 1e-10          # smallest pivot of the normal equations, relative to its diagonal element


cdef void _fable(const double* cell, const double* u, const double* inverse, double* strain) noexcept nogil:
    cdef double basis[9]
    cdef double t[9]
    cdef double e[9]
    cdef double ue[9]
    cdef double ut[9]
    cdef int i, j
    direct_basis(cell, basis)
    matrix_product(basis, inverse, t)
    for i in range(3):
        for j in range(3):
            e[3 * i + j] = 0.5 * (t[3 * i + j] + t[3 * j + i]) - (1.0 if i == j else 0.0)
            ut[3 * i + j] = u[3 * j + i]
    matrix_product(u, e, ue)
    matrix_product(ue, ut, strain)
    for i in range(3):
        for j in range(i):         # symmetric to the last bit
            strain[3 * i + j] = strain[3 * j + i]


def fable_strain(const double[:, ::1] cells, const double[:, ::1] orientations, const double[::1] reference,
                 int threads=1):
    """Strain from the fitted cell against the reference cell, Fable-Beaudoin.

    See docs/theory/grains.md#strain-from-the-cell.

    With A the matrix of the lattice vectors and T = A A0⁻¹: e = U ((T + Tᵗ)/2 - 1) Uᵗ.

    Parameters
    ----------
    cells : (n, 6), a, b, c (Å), alpha, beta, gamma (degrees)
    orientations : (n, 9), U row-major, crystal to sample
    reference : (6,), the unstrained cell

    Returns
    -------
    (n, 9) float64, sample frame, row-major, dimensionless
    """
    cdef Py_ssize_t n = cells.shape[0], i
    if cells.shape[1] != 6 or orientations.shape[0] != n or orientations.shape[1] != 9 or reference.shape[0] != 6:
        raise ValueError("one cell and one matrix per grain, and a reference cell")
    unstrained = np.empty(9)
    cdef double[::1] basis = unstrained
    direct_basis(&reference[0], &basis[0])
    cdef double[::1] inverse = np.ascontiguousarray(np.linalg.inv(unstrained.reshape(3, 3))).ravel()
    out = np.empty((n, 9))
    cdef double[:, ::1] strain = out
    for i in prange(n, nogil=True, num_threads=threads, schedule="static"):
        _fable(&cells[i, 0], &orientations[i, 0], &inverse[0], &strain[i, 0])
    return out


cdef bint _solve_free(const double* normal, const double* right, const int* state, double bound,
                      double* x) noexcept nogil:
    """Least squares over the components with state 0; the others stand at state × bound. False if singular."""
    cdef int free_[N]
    cdef double factor[N * N]
    cdef double y[N]
    cdef int m = 0, i, j, k
    for i in range(N):
        x[i] = state[i] * bound
        if state[i] == 0:
            free_[m] = i
            m += 1
    for i in range(m):
        y[i] = right[free_[i]]
        for k in range(N):
            if state[k] != 0:
                y[i] -= normal[N * free_[i] + k] * x[k]
        for j in range(i, m):
            factor[m * i + j] = normal[N * free_[i] + free_[j]]
    if not cholesky(factor, m, False):
        return False
    for i in range(m):
        if not factor[m * i + i] * factor[m * i + i] > SINGULAR * normal[(N + 1) * free_[i]]:
            return False
    cholesky_solve(factor, m, y)
    for i in range(m):
        x[free_[i]] = y[i]
    return True


cdef inline bint _inside(const double* x, double bound) noexcept nogil:
    cdef int i
    for i in range(N):
        if not fabs(x[i]) <= bound:
            return False
    return True


cdef bint _solve_bounded(const double* normal, const double* right, double bound, double* x) noexcept nogil:
    """Minimum of xᵗNx - 2bᵗx with every |x| <= bound; False if N is singular.

    The problem is strictly convex, so the best feasible point among those of all sets of components at a bound is the
    minimum; there are only 729 sets, and only a strain beyond the bounds needs them.
    """
    cdef int state[N]
    cdef double trial[N]
    cdef double value, lowest = 0.0
    cdef bint found = False
    cdef int number, digits, i, j
    for i in range(N):
        state[i] = 0
    if not _solve_free(normal, right, state, bound, x):
        return False
    if _inside(x, bound):
        return True
    for number in range(ACTIVE_SETS):
        digits = number
        for i in range(N):
            state[i] = digits % 3 - 1
            digits //= 3
        if not _solve_free(normal, right, state, bound, trial) or not _inside(trial, bound):
            continue
        value = 0.0
        for i in range(N):
            value -= 2.0 * right[i] * trial[i]
            for j in range(N):
                value += trial[i] * normal[N * i + j] * trial[j]
        if not found or value < lowest:
            found = True
            lowest = value
            for i in range(N):
                x[i] = trial[i]
    return found


cdef inline void _design_row(const double* g, double* row) noexcept nogil:
    """Relative change of the spacing of planes with the normal g (any length) per strain component."""
    cdef double scale = 1.0 / (g[0] * g[0] + g[1] * g[1] + g[2] * g[2])
    row[0] = g[0] * g[0] * scale
    row[1] = g[1] * g[1] * scale
    row[2] = g[2] * g[2] * scale
    row[3] = 2.0 * g[0] * g[1] * scale
    row[4] = 2.0 * g[0] * g[2] * scale
    row[5] = 2.0 * g[1] * g[2] * scale


cdef bint _kenesei(const double[:, ::1] normals, const double[::1] relative, long long start, long long stop,
                   double bound, double* x) noexcept nogil:
    cdef double normal[N * N]
    cdef double right[N]
    cdef double row[N]
    cdef long long s
    cdef int i, j
    for i in range(N * N):
        normal[i] = 0.0
    for i in range(N):
        right[i] = 0.0
    for s in range(start, stop):
        _design_row(&normals[s, 0], row)
        for i in range(N):
            right[i] += row[i] * relative[s]
            for j in range(N):
                normal[N * i + j] += row[i] * row[j]
    return _solve_bounded(normal, right, bound, x)


def kenesei_strain(const long long[::1] offsets, const double[:, ::1] normals, const double[::1] relative,
                   double bound, int threads=1):
    """Strain from the lattice spacing of each spot by bounded linear least squares.

    See docs/theory/grains.md#strain-from-the-spacings.

    Parameters
    ----------
    offsets : (n + 1,) int64; grain i owns the spots ``offsets[i] : offsets[i + 1]``
    normals : (total, 3), plane normals in the sample frame, any length
    relative : (total,), (d - d0)/d0
    bound : largest size of a component

    Returns
    -------
    strain : (n, 6), e11, e22, e33, e12, e13, e23 in the sample frame
    solved : (n,) bool, False where the spots do not determine all six components (strain is then meaningless)
    """
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    if normals.shape[1] != 3 or relative.shape[0] != normals.shape[0] or offsets[n] > normals.shape[0]:
        raise ValueError("one normal and one spacing per spot")
    out = np.empty((n, N))
    flags = np.empty(n, dtype=np.uint8)
    cdef double[:, ::1] strain = out
    cdef unsigned char[::1] solved = flags
    for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
        solved[i] = _kenesei(normals, relative, offsets[i], offsets[i + 1], bound, &strain[i, 0])
    return out, flags.view(np.bool_)


def kenesei_residuals(const long long[::1] offsets, const double[:, ::1] normals, const double[::1] relative,
                      const double[:, ::1] strain, int threads=1):
    """What the strain tensor leaves of each spot's relative spacing.

    Parameters
    ----------
    offsets, normals, relative : as for `kenesei_strain`
    strain : (n, 6)

    Returns
    -------
    (total,) float64, observed minus calculated
    """
    cdef Py_ssize_t n = offsets.shape[0] - 1, i
    if normals.shape[1] != 3 or relative.shape[0] != normals.shape[0] or offsets[n] > normals.shape[0]:
        raise ValueError("one normal and one spacing per spot")
    if strain.shape[0] != n or strain.shape[1] != N:
        raise ValueError("six components per grain")
    out = np.array(relative)
    cdef double[::1] rest = out
    for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
        _subtract(normals, &strain[i, 0], offsets[i], offsets[i + 1], rest)
    return out


cdef void _subtract(const double[:, ::1] normals, const double* strain, long long start, long long stop,
                    double[::1] rest) noexcept nogil:
    cdef double row[N]
    cdef double total
    cdef long long s
    cdef int i
    for s in range(start, stop):
        _design_row(&normals[s, 0], row)
        total = 0.0
        for i in range(N):
            total += row[i] * strain[i]
        rest[s] -= total


def lattice_spacings(const double[::1] y, const double[::1] z, double lsd, double wavelength):
    """Bragg: the spacing d = λ/(2 sin θ) of spots of a grain at the origin.

    Parameters
    ----------
    y, z : (n,) float64, on the ideal detector plane (µm)
    lsd : sample to detector (µm)
    wavelength : Å

    Returns
    -------
    (n,) float64, Å
    """
    cdef Py_ssize_t n = y.shape[0], i
    out = np.empty(n)
    cdef double[::1] d = out
    if z.shape[0] != n:
        raise ValueError("one z per y")
    with nogil:
        for i in range(n):
            d[i] = bragg_spacing(wavelength, two_theta_radians(sqrt(y[i] * y[i] + z[i] * z[i]), lsd) / 2.0)
    return out
