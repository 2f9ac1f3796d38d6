"""The joint fit of grains and instrument: residuals, Jacobian and the sums of the normal equations.

Grain by grain, so that memory does not grow with the spots; the sums are in a fixed order for any number of threads.
See docs/theory/geometry_from_grains.md#normal-equations.
"""
import numpy as np

from cython.parallel cimport prange
from libc.string cimport memset

from midas._ext.calibrate.spot cimport (
    MOST_COLUMNS, NUMBERS_OF_INSTRUMENT, OF_GRAIN, PARAMETERS_OF_INSTRUMENT, JointInstrument, JointSpot, ObservedSpot,
    predict_spot, residual_of, rows_of, set_instrument)

#: the parameters of an instrument in the order of its numbers: µm, px, px, degrees, -, degrees, Å, µm
PARAMETERS = ("Lsd", "BCy", "BCz", "tx", "ty", "tz", "p0", "p1c", "p1s", "p2", "Wedge", "Omega0", "Wavelength",
              "WobbleY2c", "WobbleY2s", "WobbleY3c", "WobbleY3s", "WobbleZ1c", "WobbleZ1s", "WobbleZ2c", "WobbleZ2s",
              "WobbleZ3c", "WobbleZ3s")
#: what follows them in the numbers of an instrument: µm, µm, 0 or 1, 0 or 1
CONSTANTS = ("px", "RhoD", "exact wedge", "exact tilts")
#: the columns of a grain: µm, degrees, 10⁻⁶
GRAIN_COLUMNS = ("X", "Y", "Z", "Rx", "Ry", "Rz", "E11", "E22", "E33", "E23", "E13", "E12")

cdef enum:
    # The sums over grains are taken in so many parts, whatever the number of threads
    PARTS = 64
    SQUARE = 1369          # MOST_COLUMNS²


cdef struct Sums:
    # Where the sums of one grain go
    double* a
    double* b
    double* gradient
    double* n
    double* n_gradient
    Py_ssize_t m


cdef inline void _gather(const JointInstrument* instrument, const int* columns, int* of_run) noexcept nogil:
    """The columns of the instrument part of a run's rows."""
    cdef int i
    for i in range(instrument.n_active):
        of_run[i] = instrument.columns[i]
    if columns != NULL:
        of_run[instrument.n_active] = columns[0]
        of_run[instrument.n_active + 1] = columns[0] + 1


cdef inline void _add_spot(const double* rows, const double* residual, const double* weight, int n, double* normal,
                           double* gradient) noexcept nogil:
    """Add the weighted products of the three rows: upper triangle of `normal`, rows of `MOST_COLUMNS`."""
    cdef int row, i, j
    cdef double w
    cdef const double* r
    cdef double* out
    for row in range(3):
        if weight[row] == 0.0:
            continue
        r = rows + row * MOST_COLUMNS
        for i in range(n):
            w = weight[row] * r[i]
            gradient[i] += w * residual[row]
            out = normal + i * MOST_COLUMNS
            for j in range(i, n):
                out[j] += w * r[j]


cdef void _scatter(const double* normal, const double* gradient, const int* of_run, int n, Sums* sums) noexcept nogil:
    """Add the products of a run of spots, whose columns of the instrument are `of_run`, to the sums of their grain."""
    cdef int i, j, p, q
    for i in range(OF_GRAIN):
        sums.gradient[i] += gradient[i]
        for j in range(i, OF_GRAIN):
            sums.a[i * OF_GRAIN + j] += normal[i * MOST_COLUMNS + j]
        for j in range(OF_GRAIN, n):
            sums.b[i * sums.m + of_run[j - OF_GRAIN]] += normal[i * MOST_COLUMNS + j]
    for i in range(OF_GRAIN, n):
        p = of_run[i - OF_GRAIN]
        sums.n_gradient[p] += gradient[i]
        for j in range(i, n):
            q = of_run[j - OF_GRAIN]
            sums.n[p * sums.m + q] += normal[i * MOST_COLUMNS + j]
            if p != q:
                sums.n[q * sums.m + p] += normal[i * MOST_COLUMNS + j]


cdef class Joint:
    """Spots of grains, and what a joint fit needs of them.

    Parameters
    ----------
    first : (g + 1,) int64; the spots of grain i are ``first[i] : first[i + 1]``
    pixels : (2, n) float64, y and z of each spot as recorded, px
    omega : (n,) float64, degrees, as recorded
    hkl : (3, n) float64, Miller indices
    branch : (n,) float64, sign of the laboratory y
    radial : (2, n) float64, unit vectors (y, z) along the radius of each spot
    detector : (n,) int32, row among the instruments
    panel : (n,) int32, row among the panels' shifts; -1 for none. Spots of one detector and panel stand side by side
        in their grain for speed

    Raises
    ------
    ValueError : lengths that do not fit
    """

    cdef const long long[::1] first
    cdef const double[:, ::1] pixels
    cdef const double[::1] omega
    cdef const double[:, ::1] hkl
    cdef const double[::1] branch
    cdef const double[:, ::1] radial
    cdef const int[::1] detector
    cdef const int[::1] panel
    cdef readonly Py_ssize_t grains
    cdef readonly Py_ssize_t spots
    cdef int most_detector
    cdef int most_panel

    def __init__(self, const long long[::1] first, const double[:, ::1] pixels, const double[::1] omega,
                 const double[:, ::1] hkl, const double[::1] branch, const double[:, ::1] radial,
                 const int[::1] detector, const int[::1] panel):
        cdef Py_ssize_t n = omega.shape[0], i
        self.grains, self.spots = first.shape[0] - 1, n
        if self.grains < 1 or first[0] != 0 or first[self.grains] != n or np.any(np.diff(first) < 0):
            raise ValueError("first must rise from 0 to the number of spots")
        if not n == pixels.shape[1] == hkl.shape[1] == branch.shape[0] == radial.shape[1] == detector.shape[0] \
                == panel.shape[0] or pixels.shape[0] != 2 or hkl.shape[0] != 3 or radial.shape[0] != 2:
            raise ValueError("every column must have one entry per spot")
        self.first, self.pixels, self.omega, self.hkl, self.branch = first, pixels, omega, hkl, branch
        self.radial, self.detector, self.panel = radial, detector, panel
        self.most_detector = self.most_panel = -1
        for i in range(n):
            if detector[i] < 0:
                raise ValueError("detector must not be negative")
            self.most_detector = max(self.most_detector, detector[i])
            self.most_panel = max(self.most_panel, panel[i])

    def residuals(self, const double[:, ::1] instruments, const double[:, ::1] shifts, const double[:, ::1] ub,
                  const double[:, ::1] positions, int threads=1):
        """Observed minus predicted of every spot.

        Parameters
        ----------
        instruments : (d, 27) float64, the numbers of `PARAMETERS` and `CONSTANTS`
        shifts : (p, 2) float64, further shifts of the panels, px; no rows without panels
        ub : (g, 9) float64, U·B of each grain, row-major, 1/Å
        positions : (g, 3) float64, sample frame, µm

        Returns
        -------
        (3, n) float64: along the radius, around it (µm), omega (degrees)

        Raises
        ------
        ValueError : lengths that do not fit
        """
        cdef Py_ssize_t g
        self._check(instruments, shifts, ub, positions)
        work = _Instruments(instruments, np.full((instruments.shape[0], PARAMETERS_OF_INSTRUMENT), -1, np.int32))
        cdef const JointInstrument* table = (<_Instruments>work).table
        result = np.empty((3, self.spots))
        cdef double[:, ::1] out = result
        for g in prange(self.grains, nogil=True, num_threads=threads, schedule="dynamic"):
            self._residuals_of(g, table, shifts, &ub[g, 0], &positions[g, 0], out)
        return result

    def jacobian(self, const double[:, ::1] instruments, const double[:, ::1] shifts, const double[:, ::1] ub,
                 const double[:, ::1] positions, const int[:, ::1] columns, const int[::1] panel_columns,
                 Py_ssize_t m):
        """Derivatives of the residuals: everything at once, so for few spots.

        Parameters
        ----------
        instruments, shifts, ub, positions, columns, panel_columns, m : as in `normal_equations`

        Returns
        -------
        (3, n, 12 + m) float64: by `GRAIN_COLUMNS` of the spot's own grain, then by the m numbers of the instruments
        """
        cdef Py_ssize_t g, i
        cdef int row, j, n, p
        cdef const int* of_panel
        cdef ObservedSpot observed
        cdef JointSpot spot
        cdef double rows[3 * MOST_COLUMNS]
        cdef int of_run[MOST_COLUMNS]
        self._check(instruments, shifts, ub, positions)
        self._check_columns(columns, panel_columns, instruments.shape[0], shifts.shape[0], m)
        work = _Instruments(instruments, columns)
        cdef const JointInstrument* table = (<_Instruments>work).table
        result = np.zeros((3, self.spots, OF_GRAIN + m))
        cdef double[:, :, ::1] out = result
        for g in range(self.grains):
            for i in range(self.first[g], self.first[g + 1]):
                p = self.panel[i]
                of_panel = NULL if p < 0 or panel_columns[p] < 0 else &panel_columns[p]
                self._observed(i, shifts, &observed)
                predict_spot(&table[self.detector[i]], &observed, &ub[g, 0], &positions[g, 0], &spot)
                rows_of(&table[self.detector[i]], &observed, &spot, of_panel != NULL, rows)
                _gather(&table[self.detector[i]], of_panel, of_run)
                n = table[self.detector[i]].n_active + (2 if of_panel != NULL else 0)
                for row in range(3):
                    for j in range(OF_GRAIN):
                        out[row, i, j] = rows[row * MOST_COLUMNS + j]
                    for j in range(n):
                        out[row, i, OF_GRAIN + of_run[j]] += rows[row * MOST_COLUMNS + OF_GRAIN + j]
        return result

    def normal_equations(self, const double[:, ::1] instruments, const double[:, ::1] shifts,
                         const double[:, ::1] ub, const double[:, ::1] positions, const int[:, ::1] columns,
                         const int[::1] panel_columns, Py_ssize_t m, const double[:, ::1] weights, int threads=1):
        """The sums of weighted products of derivatives and residuals.

        Parameters
        ----------
        instruments : (d, 27) float64, the numbers of `PARAMETERS` and `CONSTANTS`
        shifts : (p, 2) float64, further shifts of the panels, px; no rows without panels
        ub : (g, 9) float64, U·B of each grain, row-major, 1/Å
        positions : (g, 3) float64, sample frame, µm
        columns : (d, 23) int32, column of each parameter of each instrument, -1 where it is held; instruments that
            share a number share its column
        panel_columns : (p,) int32, column of each panel's shift in y, that in z is the next; -1 where it is held
        m : number of columns, may be 0
        weights : (3, n) float64, of the three squared residuals of each spot

        Returns
        -------
        a : (g, 12, 12) float64, of the grains
        b : (g, 12, m) float64, of grains and instruments
        gradient : (g, 12) float64
        n : (m, m) float64, of the instruments
        n_gradient : (m,) float64

        Raises
        ------
        ValueError : lengths that do not fit
        """
        cdef Py_ssize_t part, parts = min(self.grains, PARTS), size
        self._check(instruments, shifts, ub, positions)
        self._check_columns(columns, panel_columns, instruments.shape[0], shifts.shape[0], m)
        if weights.shape[0] != 3 or weights.shape[1] != self.spots:
            raise ValueError("weights must be (3, n)")
        work = _Instruments(instruments, columns)
        cdef const JointInstrument* table = (<_Instruments>work).table
        a_array, gradient_array = np.zeros((self.grains, OF_GRAIN, OF_GRAIN)), np.zeros((self.grains, OF_GRAIN))
        # At least one column, so that there is an address to point at.
        b_array = np.zeros((self.grains, OF_GRAIN, max(m, 1)))
        n_array, n_gradient_array = np.zeros((parts, max(m, 1), max(m, 1))), np.zeros((parts, max(m, 1)))
        cdef double[:, :, ::1] a = a_array, b = b_array, n = n_array
        cdef double[:, ::1] gradient = gradient_array, n_gradient = n_gradient_array
        size = (self.grains + parts - 1) // parts
        for part in prange(parts, nogil=True, num_threads=threads, schedule="dynamic"):
            self._sum_part(part * size, min((part + 1) * size, self.grains), part, table, shifts, ub, positions,
                           panel_columns, weights, m, a, b, gradient, n, n_gradient)
        lower = np.tril_indices(OF_GRAIN, -1)
        a_array[:, lower[0], lower[1]] = a_array[:, lower[1], lower[0]]
        return (a_array, np.ascontiguousarray(b_array[:, :, :m]), gradient_array, n_array.sum(axis=0)[:m, :m],
                n_gradient_array.sum(axis=0)[:m])

    cdef void _sum_part(self, Py_ssize_t start, Py_ssize_t stop, Py_ssize_t part, const JointInstrument* table,
                        const double[:, ::1] shifts, const double[:, ::1] ub, const double[:, ::1] positions,
                        const int[::1] panel_columns, const double[:, ::1] weights, Py_ssize_t m,
                        double[:, :, ::1] a, double[:, :, ::1] b, double[:, ::1] gradient, double[:, :, ::1] n,
                        double[:, ::1] n_gradient) noexcept nogil:
        """Grains `start` … `stop` - 1, of which the instruments' sums go together."""
        cdef Py_ssize_t g
        cdef Sums sums
        sums.m = max(m, 1)
        sums.n = &n[part, 0, 0]
        sums.n_gradient = &n_gradient[part, 0]
        for g in range(start, stop):
            sums.a = &a[g, 0, 0]
            sums.b = &b[g, 0, 0]
            sums.gradient = &gradient[g, 0]
            self._sum_grain(g, table, shifts, &ub[g, 0], &positions[g, 0], panel_columns, weights, &sums)

    cdef void _sum_grain(self, Py_ssize_t g, const JointInstrument* table, const double[:, ::1] shifts,
                         const double* ub, const double* position, const int[::1] panel_columns,
                         const double[:, ::1] weights, Sums* sums) noexcept nogil:
        """The sums of one grain, over runs of spots that move with the same columns."""
        cdef double normal[SQUARE]
        cdef double gradient[MOST_COLUMNS]
        cdef int of_run[MOST_COLUMNS]
        cdef Py_ssize_t i = self.first[g], stop = self.first[g + 1]
        cdef const JointInstrument* instrument
        cdef const int* of_panel
        cdef int detector, panel, n
        while i < stop:
            detector = self.detector[i]
            panel = self.panel[i]
            instrument = &table[detector]
            of_panel = NULL if panel < 0 or panel_columns[panel] < 0 else &panel_columns[panel]
            n = OF_GRAIN + instrument.n_active + (2 if of_panel != NULL else 0)
            _gather(instrument, of_panel, of_run)
            memset(normal, 0, sizeof(normal))
            memset(gradient, 0, sizeof(gradient))
            while i < stop and self.detector[i] == detector and self.panel[i] == panel:
                self._add(i, instrument, shifts, ub, position, weights, of_panel != NULL, n, normal, gradient)
                i = i + 1
            _scatter(normal, gradient, of_run, n, sums)

    cdef inline void _add(self, Py_ssize_t i, const JointInstrument* instrument, const double[:, ::1] shifts,
                          const double* ub, const double* position, const double[:, ::1] weights, bint on_panel, int n,
                          double* normal, double* gradient) noexcept nogil:
        cdef ObservedSpot observed
        cdef JointSpot spot
        cdef double rows[3 * MOST_COLUMNS]
        cdef double residual[3]
        cdef double weight[3]
        cdef int row
        for row in range(3):
            weight[row] = weights[row, i]
        if weight[0] == 0.0 and weight[1] == 0.0 and weight[2] == 0.0:
            return
        self._observed(i, shifts, &observed)
        predict_spot(instrument, &observed, ub, position, &spot)
        residual_of(instrument, &observed, &spot, residual)
        rows_of(instrument, &observed, &spot, on_panel, rows)
        _add_spot(rows, residual, weight, n, normal, gradient)

    cdef void _residuals_of(self, Py_ssize_t g, const JointInstrument* table, const double[:, ::1] shifts,
                            const double* ub, const double* position, double[:, ::1] out) noexcept nogil:
        cdef Py_ssize_t i
        cdef int row
        cdef ObservedSpot observed
        cdef JointSpot spot
        cdef double residual[3]
        for i in range(self.first[g], self.first[g + 1]):
            self._observed(i, shifts, &observed)
            predict_spot(&table[self.detector[i]], &observed, ub, position, &spot)
            residual_of(&table[self.detector[i]], &observed, &spot, residual)
            for row in range(3):
                out[row, i] = residual[row]

    cdef inline void _observed(self, Py_ssize_t i, const double[:, ::1] shifts, ObservedSpot* observed) noexcept nogil:
        cdef int panel = self.panel[i]
        cdef int row
        observed.y_px = self.pixels[0, i]
        observed.z_px = self.pixels[1, i]
        if panel >= 0:
            observed.y_px += shifts[panel, 0]
            observed.z_px += shifts[panel, 1]
        observed.omega = self.omega[i]
        observed.branch = self.branch[i]
        observed.radial_y = self.radial[0, i]
        observed.radial_z = self.radial[1, i]
        for row in range(3):
            observed.hkl[row] = self.hkl[row, i]

    cdef _check(self, const double[:, ::1] instruments, const double[:, ::1] shifts, const double[:, ::1] ub,
                const double[:, ::1] positions):
        if instruments.shape[1] != NUMBERS_OF_INSTRUMENT or self.most_detector >= instruments.shape[0]:
            raise ValueError(f"instruments must have a row per detector of {NUMBERS_OF_INSTRUMENT} numbers")
        if shifts.shape[1] != 2 or self.most_panel >= shifts.shape[0]:
            raise ValueError("shifts must have a row per panel of two numbers")
        if not ub.shape[0] == positions.shape[0] == self.grains or ub.shape[1] != 9 or positions.shape[1] != 3:
            raise ValueError("ub must be (g, 9) and positions (g, 3)")

    cdef _check_columns(self, const int[:, ::1] columns, const int[::1] panel_columns, Py_ssize_t detectors,
                        Py_ssize_t panels, Py_ssize_t m):
        if columns.shape[0] != detectors or columns.shape[1] != PARAMETERS_OF_INSTRUMENT:
            raise ValueError(f"columns must be ({detectors}, {PARAMETERS_OF_INSTRUMENT})")
        if panel_columns.shape[0] != panels:
            raise ValueError("one panel column per panel")
        if np.max(columns, initial=-1) >= m or np.max(panel_columns, initial=-1) >= max(m - 1, 0):
            raise ValueError("a column beyond m")


cdef class _Instruments:
    """The instruments of a call, set up once."""

    cdef JointInstrument* table
    cdef object buffer

    def __cinit__(self, const double[:, ::1] numbers, const int[:, ::1] columns):
        cdef Py_ssize_t i, n = numbers.shape[0]
        cdef unsigned char[::1] buffer = np.empty(n * sizeof(JointInstrument), np.uint8)
        self.buffer = buffer
        self.table = <JointInstrument*>&buffer[0]
        for i in range(n):
            set_instrument(&self.table[i], &numbers[i, 0], &columns[i, 0])
