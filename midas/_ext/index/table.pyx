"""Observed spots by (ring, omega bin) and eta, by ring and omega (docs/theory/indexing.md#table-of-observed-spots)."""
import numpy as np

from libc.math cimport fabs

from midas._ext.numerics.bins cimport BinAxis, bin_axis, bin_window
from midas._ext.numerics.elementary cimport sin, sincos
from midas._ext.physics.geometry cimport DEG2RAD


cdef class SpotTable:
    """Spot look-up that replaces the legacy bin files.

    A spot is listed in every omega bin that its window meets: omega ± (margin + half an orientation step / sin(eta)).

    Parameters
    ----------
    y, z : (n,) float64, µm
    omega, eta : (n,) float64, degrees
    radius : (n,) float64, grain radius, µm
    deviation : (n,) float64, distance from the beam centre minus the ring radius, µm
    ring : (n,) int32, index 0 ... n_rings - 1 of the spot's ring; -1 for a spot that nothing can match
    n_rings : number of rings
    omega_bin : width of a bin, degrees; the last bin of a turn is smaller where the width does not divide 360
    margin_omega, orientation_step : degrees
    """

    def __init__(self, const double[::1] y, const double[::1] z, const double[::1] omega, const double[::1] eta,
                 const double[::1] radius, const double[::1] deviation, const int[::1] ring, *, int n_rings,
                 double omega_bin, double margin_omega, double orientation_step):
        cdef Py_ssize_t n = y.shape[0]
        cdef IndexSpots* v = &self.view
        if not (n == len(z) == len(omega) == len(eta) == len(radius) == len(deviation) == len(ring) > 0):
            raise ValueError("the columns must have the same length, at least 1")
        if not omega_bin > 0.0:
            raise ValueError("bins need a width")
        v.n = n
        v.omega_bin = omega_bin
        v.n_omega = <int>bin_axis(omega_bin).bins
        v.y_ideal = &y[0]
        v.z_ideal = &z[0]
        v.omega_ideal = &omega[0]
        v.eta = &eta[0]
        v.grain_radius = &radius[0]
        v.deviation = &deviation[0]
        v.ring = &ring[0]
        self.arrays = (y, z, omega, eta, radius, deviation, ring)
        _add_directions(self, omega, eta)
        _add_omega_bins(self, omega, eta, ring, n_rings, margin_omega, orientation_step)
        _add_ring_order(self, omega, ring, n_rings)

    def bin_rows(self, int ring, int omega_bin):
        """Rows listed in a bin, ascending eta."""
        cdef Py_ssize_t at = <Py_ssize_t>ring * self.view.n_omega + omega_bin
        return [self.view.listed_row[i] for i in range(self.view.first[at], self.view.first[at + 1])]


cdef _add_directions(SpotTable table, const double[::1] omega, const double[::1] eta):
    """Cosines and sines of all spots."""
    cdef Py_ssize_t n = omega.shape[0], i
    directions = np.empty((4, n))
    cdef double[:, ::1] d = directions
    for i in range(n):
        sincos(omega[i] * DEG2RAD, &d[1, i], &d[0, i])
        sincos(eta[i] * DEG2RAD, &d[3, i], &d[2, i])
    table.view.cos_omega = &d[0, 0]
    table.view.sin_omega = &d[1, 0]
    table.view.cos_eta = &d[2, 0]
    table.view.sin_eta = &d[3, 0]
    table.arrays += (directions,)


cdef _add_omega_bins(SpotTable table, const double[::1] omega, const double[::1] eta, const int[::1] ring, int n_rings,
                     double margin_omega, double orientation_step):
    cdef Py_ssize_t n = omega.shape[0], i, k, row
    cdef int n_omega = table.view.n_omega
    cdef BinAxis axis = bin_axis(table.view.omega_bin)
    cdef long long at
    cdef const long long[::1] order = np.argsort(eta, kind="stable").astype(np.int64)
    lows = np.zeros(n, np.intc)
    counts = np.zeros(n, np.intc)
    firsts = np.zeros(<Py_ssize_t>n_rings * n_omega + 1, np.int64)
    cdef int[::1] low = lows, count = counts
    cdef long long[::1] first = firsts
    for i in range(n):
        if ring[i] < 0:
            continue
        bin_window(&axis, omega[i], margin_omega + 0.5 * orientation_step / fabs(sin(DEG2RAD * eta[i])), &low[i],
                   &count[i])
        for k in range(count[i]):
            first[<Py_ssize_t>ring[i] * n_omega + (low[i] + k) % n_omega + 1] += 1
    np.cumsum(firsts, out=firsts)
    listed_eta = np.empty(max(1, firsts.max()))
    listed_row = np.empty(max(1, firsts.max()), np.int32)
    filled = firsts.copy()
    cdef double[::1] etas = listed_eta
    cdef int[::1] rows = listed_row
    cdef long long[::1] fill = filled
    for i in range(n):
        row = order[i]
        for k in range(count[row]):
            at = <long long>ring[row] * n_omega + (low[row] + k) % n_omega
            etas[fill[at]] = eta[row]
            rows[fill[at]] = <int>row
            fill[at] += 1
    table.view.first = &first[0]
    table.view.listed_eta = &etas[0]
    table.view.listed_row = &rows[0]
    table.arrays += (firsts, listed_eta, listed_row)


cdef _add_ring_order(SpotTable table, const double[::1] omega, const int[::1] ring, int n_rings):
    rings = np.asarray(ring)
    used = np.flatnonzero(rings >= 0)
    order = used[np.lexsort((np.asarray(omega)[used], rings[used]))]
    firsts = np.zeros(n_rings + 1, np.int64)
    firsts[1:] = np.cumsum(np.bincount(rings[used], minlength=n_rings))
    omegas = np.append(np.asarray(omega)[order], 0.0)  # one more, so that there is always a first element
    rows = np.append(order, 0).astype(np.int32)
    cdef const long long[::1] first_view = firsts
    cdef const double[::1] omega_view = omegas
    cdef const int[::1] row_view = rows
    table.view.ring_first = &first_view[0]
    table.view.ring_omega = &omega_view[0]
    table.view.ring_row = &row_view[0]
    table.arrays += (firsts, omegas, rows)
