"""Peaks of regions: fitted pseudo-Voigt profiles or centroids (docs/theory/peaks.md#profile)."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport sqrt
from libc.stddef cimport size_t
from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t
from libc.stdlib cimport free, malloc

from midas._ext.numerics.nelder_mead cimport minimise, nelder_mead_workspace
from midas._ext.numerics.stop cimport Listening, stopped
from midas._ext.peaks.apart cimport LARGEST_WORK, joint_work, solve_apart
from midas._ext.peaks.clipped cimport count_measured, is_clipped, is_determined, open_clipped
from midas._ext.peaks.least_squares cimport CONVERGED, least_squares, least_squares_workspace
from midas._ext.peaks.model cimport PEAK_SIZE, misfit, region_parameters
from midas._ext.peaks.problem cimport PeakFit, PeakProblem, has_full, is_centroid
from midas._ext.peaks.result cimport _SATURATED, FittedPeak, describe_centroid, describe_fit
from midas._ext.peaks.start cimport set_pixels, set_start
from midas._ext.physics.panels cimport PANEL_NUMBERS

from midas._ext.peaks.result import FITTED_PEAK

cdef enum:
    MAX_EVALUATIONS = 5000

cdef double TOLERANCE = 1e-5


cdef bint _fit(const PeakProblem* p, Py_ssize_t r, PeakFit* fit, FittedPeak* rows) noexcept nogil:
    """Fit the peaks of a region; False when what is not saturated does not determine them."""
    cdef double minimum = 0.0
    cdef int evaluations = 0, code, j
    set_start(p, r, fit)
    if fit.region.full != NULL:
        open_clipped(p, r, fit)
        code = least_squares(&fit.region, fit.x, fit.lower, fit.upper, &minimum, fit.workspace)
        if code != CONVERGED or not is_determined(p, r, fit):
            return False
    elif p.by_least_squares:
        code = least_squares(&fit.region, fit.x, fit.lower, fit.upper, &minimum, fit.workspace)
    else:
        code = minimise(misfit, &fit.region, region_parameters(&fit.region), fit.x, fit.lower, fit.upper, TOLERANCE,
                        TOLERANCE, MAX_EVALUATIONS, &minimum, &evaluations, fit.workspace)
    describe_fit(p, r, fit, rows)
    if fit.region.full != NULL:
        count_measured(fit, rows)
    for j in range(fit.region.peaks):
        rows[j].return_code = _SATURATED if is_clipped(p, r, &fit.region, j) else code
        rows[j].residual = sqrt(minimum)
    return True


cdef bint _solve_together(const PeakProblem* p, Py_ssize_t r, FittedPeak* rows) noexcept nogil:
    """Rows of one region, all of its peaks in one fit; False when memory is short."""
    cdef PeakFit fit
    cdef Py_ssize_t n = p.offsets[r + 1] - p.offsets[r]
    cdef int k = <int>(p.maxima_offsets[r + 1] - p.maxima_offsets[r])
    cdef bint determined = False, centroid = is_centroid(p, r)
    cdef int m = 0 if centroid else 1 + PEAK_SIZE * k
    cdef size_t extra = 0
    cdef double* memory
    if not centroid:
        extra = nelder_mead_workspace(m, MAX_EVALUATIONS)
        if p.by_least_squares or has_full(p, r):
            extra = least_squares_workspace(m)
    memory = <double*>malloc((7 * <size_t>n + 3 * <size_t>(m + k) + extra) * sizeof(double))
    if memory == NULL:
        return False
    fit.region.pixels = <int>n
    fit.region.peaks = k
    fit.region.radius = memory
    fit.region.eta = memory + n
    fit.region.counts = memory + 2 * n
    fit.region.model = memory + 3 * n
    fit.region.lorentz = memory + 4 * n
    fit.region.gauss = memory + 5 * n
    fit.region.root_weights = memory + 6 * n if p.poisson else NULL
    fit.x = memory + 7 * n
    fit.lower = fit.x + m
    fit.upper = fit.lower + m
    fit.sums = fit.upper + m
    fit.workspace = fit.sums + 3 * k
    set_pixels(p, r, &fit)
    if not centroid:
        determined = _fit(p, r, &fit, rows)
    if centroid or (k == 1 and not determined):
        describe_centroid(p, r, &fit.region, rows)
        determined = True
    free(memory)
    return determined or solve_apart(p, r, _solve_together, rows)


cdef bint _solve(const PeakProblem* p, Py_ssize_t r, FittedPeak* rows) noexcept nogil:
    """Rows of one region; False when memory is short."""
    cdef Py_ssize_t pixels = p.offsets[r + 1] - p.offsets[r], peaks = p.maxima_offsets[r + 1] - p.maxima_offsets[r]
    if is_centroid(p, r) or joint_work(p.by_least_squares or has_full(p, r), pixels, peaks) <= LARGEST_WORK:
        return _solve_together(p, r, rows)
    return solve_apart(p, r, _solve_together, rows)


cdef PeakProblem _problem(regions, double y_bc, double z_bc, const double[:, ::1] panels, str method,
                          bint poisson):
    """The arrays of at least one region, which stay alive with `regions` and `panels`."""
    cdef const int16_t[::1] y = regions.y, z = regions.z
    cdef const double[::1] counts = regions.counts, thresholds = regions.thresholds
    cdef const int64_t[::1] offsets = regions.offsets, maxima_offsets = regions.maxima_offsets
    cdef const int32_t[::1] maxima = regions.maxima
    cdef const uint8_t[::1] full, centred
    cdef PeakProblem p
    p.y = &y[0]
    p.z = &z[0]
    p.counts = &counts[0]
    p.full = NULL
    if regions.full is not None:
        full = regions.full
        p.full = &full[0]
    p.centred = NULL
    if regions.centred is not None:
        centred = regions.centred
        p.centred = &centred[0]
    p.offsets = &offsets[0]
    p.thresholds = &thresholds[0]
    p.maxima = &maxima[0]
    p.maxima_offsets = &maxima_offsets[0]
    p.panels = &panels[0, 0] if panels.shape[0] else NULL
    p.panel_count = panels.shape[0]
    p.y_bc = y_bc
    p.z_bc = z_bc
    p.centroids = method == "centroid"
    p.by_least_squares = method == "lm"
    p.poisson = poisson
    return p


def solve_regions(regions, double y_bc, double z_bc, const double[:, ::1] panels, *, str method="nm",
                  bint poisson=False, int threads=1):
    """Peaks of regions; the work is shared out region by region.

    Parameters
    ----------
    regions : `midas._ext.peaks.frame_regions.Regions`
    y_bc, z_bc : beam centre, px
    panels : (p, 8) float64, see `midas._ext.physics.panels`; no rows when the detector is one piece
    method : "nm" fits with Nelder-Mead, "lm" with least squares, "centroid" takes each region as one peak
    poisson : weights of least squares, those of counted particles instead of equal ones
    threads : OpenMP threads

    Returns
    -------
    (m,) `midas._ext.peaks.result.FITTED_PEAK`, one per maximum, or per region for centroids, whose numbers of the fit
    are 0

    Raises
    ------
    ValueError : unknown method, or arrays that do not fit each other.
    MemoryError : no room for the work space of a region.
    """
    cdef Py_ssize_t n = len(regions.thresholds), i, r
    cdef PeakProblem p
    cdef FittedPeak[::1] out
    cdef int64_t[::1] first, order
    cdef uint8_t[::1] done = np.zeros(n, np.uint8)
    _check(regions, panels, method)
    result = np.zeros(n if method == "centroid" else len(regions.maxima), FITTED_PEAK)
    if n == 0:
        return result
    p = _problem(regions, y_bc, z_bc, panels, method, poisson)
    out = result
    first = np.arange(n) if p.centroids else np.array(regions.maxima_offsets[:n])
    # Dearest first, so that the last fits to end are cheap ones.
    dear = np.diff(regions.offsets) * np.diff(regions.maxima_offsets) ** 2
    order = np.argsort(-dear, kind="stable").astype(np.int64)
    with Listening():
        for i in prange(n, nogil=True, num_threads=threads, schedule='dynamic', chunksize=1):
            r = order[i]
            if not stopped():
                done[r] = _solve(&p, r, &out[first[r]])
    if not np.all(done):
        raise MemoryError("no room for the fit of a region")
    return result


def _check(regions, panels, method):
    pixels, peaks = np.diff(regions.offsets), np.diff(regions.maxima_offsets)
    if method not in ("nm", "lm", "centroid"):
        raise ValueError(method)
    if panels.shape[1] != PANEL_NUMBERS:
        raise ValueError(f"a panel has {PANEL_NUMBERS} numbers, not {panels.shape[1]}")
    if not len(pixels) == len(peaks) == len(regions.thresholds) or (pixels < 1).any() or (peaks < 1).any():
        raise ValueError("each region needs a threshold, a pixel and a maximum")
    if regions.centred is not None and (len(regions.centred) != len(pixels) or (peaks[regions.centred != 0] > 1).any()):
        raise ValueError("only a region of one maximum can become its centroid")
    full = regions.counts if regions.full is None else regions.full
    if not regions.offsets[len(pixels)] == len(regions.y) == len(regions.z) == len(regions.counts) == len(full):
        raise ValueError("the pixels do not fit the offsets")
    places = np.repeat(pixels, peaks)
    if len(places) != len(regions.maxima) or (regions.maxima < 0).any() or (regions.maxima >= places).any():
        raise ValueError("a maximum is no pixel of its region")
