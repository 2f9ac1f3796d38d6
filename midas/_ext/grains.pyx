"""Grain list: clusters of seed solutions, near-duplicates and strain tensors (spec chapter 07 §4.3-4.5)."""
import numpy as np

from cython.parallel import prange
from libc.math cimport acos, atan, cos, fabs, sin, sqrt

from midas._ext.numerics.cholesky cimport cholesky, cholesky_solve
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG
from midas._ext.physics.lattice cimport direct_basis
from midas._ext.physics.rotation cimport matrix_product

cdef enum:
    N = 6                  # components of a symmetric strain tensor
    ACTIVE_SETS = 729      # each component free, at its lower or at its upper bound

cdef double TWIN_ANGLE = 60.0
cdef double TWIN_AXIS = 0.01          # largest difference between the components of a <111> axis
cdef double SINGULAR = 1e-10          # smallest pivot of the normal equations, relative to its diagonal element


# Orientations

cdef inline void _relative(const double* p, const double* q, double* r) noexcept nogil:
    """r = conj(p) q."""
    r[0] = p[0] * q[0] + p[1] * q[1] + p[2] * q[2] + p[3] * q[3]
    r[1] = p[0] * q[1] - p[1] * q[0] - p[2] * q[3] + p[3] * q[2]
    r[2] = p[0] * q[2] + p[1] * q[3] - p[2] * q[0] - p[3] * q[1]
    r[3] = p[0] * q[3] - p[1] * q[2] + p[2] * q[1] - p[3] * q[0]


cdef inline Py_ssize_t _nearest_operator(const double* r, const double* operators, Py_ssize_t count,
                                         double* largest) noexcept nogil:
    """The operator S with the largest |Re(r S)|, the first of equals, and that number: cos(half misorientation)."""
    cdef Py_ssize_t k, best = 0
    cdef double scalar
    cdef const double* s = operators
    largest[0] = -1.0
    for k in range(count):
        scalar = fabs(r[0] * s[0] - r[1] * s[1] - r[2] * s[2] - r[3] * s[3])
        if scalar > largest[0]:
            largest[0] = scalar
            best = k
        s += 4
    return best


cdef inline bint _is_twin(const double* r, const double* s, double scalar, double tolerance) noexcept nogil:
    """Whether r S, whose scalar part has the size `scalar`, turns by 60 degrees about an axis <111>."""
    cdef double w = scalar if scalar < 1.0 else 1.0
    cdef double length, n0, n1, n2
    if not fabs(2.0 * acos(w) * RAD2DEG - TWIN_ANGLE) < tolerance:
        return False
    length = sqrt(1.0 - w * w)
    n0 = fabs(r[0] * s[1] + r[1] * s[0] + r[2] * s[3] - r[3] * s[2]) / length
    n1 = fabs(r[0] * s[2] - r[1] * s[3] + r[2] * s[0] + r[3] * s[1]) / length
    n2 = fabs(r[0] * s[3] + r[1] * s[2] - r[2] * s[1] + r[3] * s[0]) / length
    return fabs(n0 - n1) < TWIN_AXIS and fabs(n2 - n1) < TWIN_AXIS


cdef inline bint _linked(const double* p, const double* q, const double* operators, Py_ssize_t count,
                         double cos_half, double tolerance, bint twins) noexcept nogil:
    """Whether two orientations are less than `tolerance` degrees apart, or that close to a twin relation."""
    cdef double r[4]
    cdef double scalar
    cdef Py_ssize_t k
    _relative(p, q, r)
    k = _nearest_operator(r, operators, count, &scalar)
    return scalar > cos_half or (twins and _is_twin(r, operators + 4 * k, scalar, tolerance))


def _check_orientations(quaternions, operators, Py_ssize_t n):
    if quaternions.shape[0] != n or quaternions.shape[1] != 4 or operators.shape[1] != 4 or operators.shape[0] < 1:
        raise ValueError("one quaternion per row, and quaternions as operators")


def cluster(const long long[::1] seeds, const unsigned char[::1] solved, const long long[::1] offsets,
            const int[::1] spots, const double[:, ::1] quaternions, const double[:, ::1] operators,
            double tolerance, bint twins=False):
    """Groups of solutions that describe one grain (chapter 07 §4.3).

    From each solution that is in no group yet, in order, a depth-first search follows the seeds among the matched
    spots: row j is linked to row p when j's seed is one of p's matched spots and their orientations are less than
    `tolerance` apart. Where several rows share a seed, one occurrence of the spot leads to the first linked row only.

    Parameters
    ----------
    seeds : (n,) int64, seed spot id of each row
    solved : (n,) uint8, 0 for rows to leave out
    offsets : (n + 1,) int64; row r matched ``spots[offsets[r] : offsets[r + 1]]``
    spots : int32, matched spot ids
    quaternions : (n, 4), orientations; reduced to the fundamental zone when `twins`
    operators : (k, 4), proper rotations of the crystal
    tolerance : degrees
    twins : whether rows 60 ± `tolerance` degrees apart about <111> are linked, too

    Returns
    -------
    starts : (g + 1,) int64; group k is ``members[starts[k] : starts[k + 1]]``
    members : int64, rows in the order of visit (pre-order)
    """
    cdef Py_ssize_t n = seeds.shape[0], row, depth, found = 0, groups = 0, count = operators.shape[0]
    cdef long long p, j, k
    cdef long long t, highest
    cdef double cos_half = cos(DEG2RAD * tolerance / 2.0)
    if solved.shape[0] != n or offsets.shape[0] != n + 1 or offsets[n] > spots.shape[0]:
        raise ValueError("one flag and one range of spots per seed")
    _check_orientations(quaternions, operators, n)
    highest = np.max(np.asarray(seeds), where=np.asarray(solved, dtype=bool), initial=0)
    heads = np.full(highest + 1, -1, dtype=np.int64)
    members_array = np.empty(n, dtype=np.int64)
    starts_array = np.zeros(n + 1, dtype=np.int64)
    cdef long long[::1] first = heads, following = np.empty(n, dtype=np.int64)
    cdef long long[::1] path = np.empty(n + 1, dtype=np.int64), at = np.empty(n, dtype=np.int64)
    cdef long long[::1] members = members_array, starts = starts_array
    cdef unsigned char[::1] open_ = np.array(solved, dtype=np.uint8)
    with nogil:
        for row in range(n - 1, -1, -1):         # rows of one seed in ascending order
            if open_[row] and seeds[row] >= 0:
                following[row] = first[seeds[row]]
                first[seeds[row]] = row
        for row in range(n):
            if not open_[row]:
                continue
            depth = 0
            path[0] = row
            at[row] = offsets[row]
            open_[row] = 0
            members[found] = row
            found += 1
            while depth >= 0:
                p = path[depth]
                k = at[p]
                if k >= offsets[p + 1]:
                    depth -= 1
                    continue
                at[p] = k + 1
                t = spots[k]
                j = first[t] if 0 <= t <= highest else -1
                while j >= 0 and not (open_[j] and _linked(&quaternions[p, 0], &quaternions[j, 0], &operators[0, 0],
                                                           count, cos_half, tolerance, twins)):
                    j = following[j]
                if j >= 0:
                    depth += 1
                    path[depth] = j
                    at[j] = offsets[j]
                    open_[j] = 0
                    members[found] = j
                    found += 1
            groups += 1
            starts[groups] = found
    return starts_array[:groups + 1].copy(), members_array[:found].copy()


def distinct(const long long[::1] keys, const double[:, ::1] positions, const double[:, ::1] quaternions,
             const double[:, ::1] operators, double tolerance, double distance):
    """Which solutions are no near-duplicates of an earlier one that is kept (chapter 07 §4.4).

    Parameters
    ----------
    keys : (n,) int64, 0 ... n - 1, equal for rows of the same seed
    positions : (n, 3), µm, finite
    quaternions, operators : (n, 4) and (k, 4)
    tolerance, distance : a row closer than both (degrees, µm) to an earlier kept one is dropped, and so is every other
        row of its seed

    Returns
    -------
    (n,) bool
    """
    cdef Py_ssize_t n = keys.shape[0], a, count = operators.shape[0]
    cdef Py_ssize_t axis, at, step
    cdef long long b
    cdef double cos_half = cos(DEG2RAD * tolerance / 2.0), dx, dy, dz
    if positions.shape[0] != n or positions.shape[1] != 3:
        raise ValueError("one position per row")
    _check_orientations(quaternions, operators, n)
    kept_array = np.zeros(n, dtype=np.uint8)
    if n == 0:
        return kept_array.view(np.bool_)
    # Neighbours within the distance are neighbours along the axis in which the sample is longest.
    axis = int(np.argmax(np.ptp(positions, axis=0)))
    order_array = np.argsort(np.asarray(positions)[:, axis], kind="stable").astype(np.int64)
    rank_array = np.empty(n, dtype=np.int64)
    rank_array[order_array] = np.arange(n)
    cdef long long[::1] order = order_array, rank = rank_array
    cdef unsigned char[::1] kept = kept_array, seen = np.zeros(n, dtype=np.uint8)
    with nogil:
        for a in range(n):
            if seen[keys[a]]:
                continue
            seen[keys[a]] = 1
            kept[a] = 1
            for step in range(-1, 2, 2):
                at = rank[a] + step
                while 0 <= at < n:
                    b = order[at]
                    at += step
                    if fabs(positions[b, axis] - positions[a, axis]) >= distance:
                        break
                    if b < a or seen[keys[b]]:
                        continue
                    dx = positions[b, 0] - positions[a, 0]
                    dy = positions[b, 1] - positions[a, 1]
                    dz = positions[b, 2] - positions[a, 2]
                    if sqrt(dx * dx + dy * dy + dz * dz) < distance and _linked(
                            &quaternions[a, 0], &quaternions[b, 0], &operators[0, 0], count, cos_half, tolerance,
                            False):
                        seen[keys[b]] = 1
    return kept_array.view(np.bool_)


# Strain

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
    """Strain from the fitted cell against the reference cell, Fable-Beaudoin (chapter 07 §4.5).

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
    """Strain from the lattice spacing of each spot by bounded linear least squares (chapter 07 §4.5).

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
            d[i] = wavelength / (2.0 * sin(atan(sqrt(y[i] * y[i] + z[i] * z[i]) / lsd) / 2.0))
    return out
