"""Pixels near powder rings, sorted into groups: one window of radii, one bin of azimuth, one panel.

See docs/theory/calibration.md#points-on-rings.
"""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport floor

from midas._ext.physics.geometry cimport Detector, PlanePoint, detector_to_ideal, unpack_detector
from midas._ext.physics.panels cimport PANEL_NUMBERS, shift_on_panel

cdef enum:
    PER_PX = 4             # entries of the table of nearest windows
    STRETCH = 16           # pixels of a row that are looked at together

#: a stretch whose middle is farther from every window than this (px) has no pixel in any: half its length where the
#: detector is tilted, and what panels are moved by
cdef double OUT_OF_REACH = 0.75 * STRETCH + 4.0


cdef struct RingWindows:
    const double* lowest   # px, of each window, by rising radius
    const double* highest
    const double* middle
    const long long* bins
    const long long* first  # group of the first bin
    const int* nearest     # window, of every 1/PER_PX px of radius
    Py_ssize_t length      # of `nearest`
    Py_ssize_t per_bin     # groups: the panels, or 1


cdef inline PlanePoint _on_plane(const Detector* d, const double* panel, double y, double z) noexcept nogil:
    if panel != NULL:
        shift_on_panel(panel, &y, &z)
    return detector_to_ideal(d, y, z)


cdef inline Py_ssize_t _nearest(const RingWindows* w, double radius) noexcept nogil:
    """Window next to a radius in px; -1 beyond the table, or at the beam centre."""
    cdef Py_ssize_t i
    if not 0.0 <= radius < 1e7:
        return -1
    i = <Py_ssize_t>(radius * PER_PX)
    return w.nearest[i] if i < w.length else -1


cdef inline bint _out_of_reach(const RingWindows* w, const Detector* d, double y, double z) noexcept nogil:
    """Whether a stretch of a row around (y, z) has no pixel in any window."""
    cdef double radius = detector_to_ideal(d, y, z).radius / d.px
    cdef Py_ssize_t k = _nearest(w, radius)
    if k < 0:
        return not radius <= w.length / <double>PER_PX + OUT_OF_REACH
    return w.lowest[k] - radius > OUT_OF_REACH or radius - w.highest[k] > OUT_OF_REACH


cdef inline int _group_of(const RingWindows* w, const Detector* d, const double[:, ::1] panels, int panel, double y,
                          double z, float* x) noexcept nogil:
    """Group of a pixel and its distance from the middle of the window (px); -1 when it is in none."""
    cdef PlanePoint p = _on_plane(d, &panels[panel, 0] if panel >= 0 else NULL, y, z)
    cdef double radius = p.radius / d.px
    cdef Py_ssize_t k = _nearest(w, radius), bin
    if k < 0 or radius < w.lowest[k] or radius > w.highest[k]:
        return -1
    x[0] = <float>(radius - w.middle[k])
    bin = <Py_ssize_t>((180.0 + p.eta_plane) / 360.0 * w.bins[k])
    if bin >= w.bins[k]:
        bin = w.bins[k] - 1
    return <int>(w.first[k] + bin * w.per_bin + (panel if panel >= 0 else 0))


cdef void _row(const RingWindows* w, const Detector* d, const double[:, ::1] panels, const int[:, ::1] panel_of,
               const unsigned char[:, ::1] masked, Py_ssize_t z, int* group, float* x) noexcept nogil:
    cdef Py_ssize_t columns = masked.shape[1], stretch, begin, end, y
    cdef bint has_panels = panels.shape[0] > 0
    for stretch in range((columns + STRETCH - 1) // STRETCH):
        begin = stretch * STRETCH
        end = min(begin + STRETCH, columns)
        for y in range(begin, end):
            group[y] = -1
        if _out_of_reach(w, d, begin + 0.5 * STRETCH, z):
            continue
        for y in range(begin, end):
            if not masked[z, y] and (panel_of[z, y] >= 0 or not has_panels):
                group[y] = _group_of(w, d, panels, panel_of[z, y] if has_panels else -1, y, z, x + y)


def group_pixels(const double[:, ::1] counts, const unsigned char[:, ::1] masked, const int[:, ::1] panel_of,
                 const double[::1] detector, const double[:, ::1] panels, const double[::1] lowest,
                 const double[::1] highest, const double[::1] middle, const long long[::1] bins, int threads=1):
    """Pixels of every group of (window, bin of eta, panel), and how far they are from the middle of the window.

    Parameters
    ----------
    counts : (rows, columns) float64
    masked : (rows, columns) uint8, pixels that count for nothing
    panel_of : (rows, columns) int32, row of `panels`; -1 in gaps
    detector : (12,) float64, `midas.experiment.detector.DetectorGeometry.packed`
    panels : (p, 8) float64, `midas.experiment.panels.panels_of`; no rows without panels. Pixels in gaps are left out
    lowest, highest : (w,) float64, px of radius on the plane: the windows, rising, without overlap
    middle : (w,) float64, px, that distances are counted from
    bins : (w,) int64, of eta, all around
    threads : the result does not depend on it

    Returns
    -------
    starts : (g + 1,) int64, first pixel of each group; group first_w + bin * max(p, 1) + panel, where first_w counts
        the groups of the windows before
    pixel : (m,) int32, row * columns + column, group after group
    x : (m,) float32, px
    values : (m,) float64, their counts

    Raises
    ------
    ValueError : when shapes do not fit
    """
    cdef Py_ssize_t rows = counts.shape[0], columns = counts.shape[1], z
    cdef Detector d
    cdef RingWindows w
    if (masked.shape[0] != rows or masked.shape[1] != columns or panel_of.shape[0] != rows
            or panel_of.shape[1] != columns or detector.shape[0] != 12 or panels.shape[1] != PANEL_NUMBERS
            or not len(lowest) == len(highest) == len(middle) == len(bins) > 0):
        raise ValueError("arrays of one image, a detector of twelve numbers, and one of everything per window")
    d = unpack_detector(detector)
    first_of = np.concatenate(([0], np.cumsum(np.asarray(bins) * max(len(panels), 1))))
    cdef long long[::1] first = first_of
    cdef int[::1] nearest = _nearest_windows(np.asarray(lowest), np.asarray(highest))
    w.lowest, w.highest, w.middle, w.bins = &lowest[0], &highest[0], &middle[0], &bins[0]
    w.first, w.nearest, w.length, w.per_bin = &first[0], &nearest[0], nearest.shape[0], max(panels.shape[0], 1)
    cdef int[:, ::1] group = np.empty((rows, columns), np.int32)
    cdef float[:, ::1] x = np.empty((rows, columns), np.float32)
    with nogil:
        for z in prange(rows, schedule="static", num_threads=threads):
            _row(&w, &d, panels, panel_of, masked, z, &group[z, 0], &x[z, 0])
    return _sorted(group, x, counts, int(first_of[-1]))


def _nearest_windows(lowest, highest):
    """Window next to every 1/PER_PX px of radius."""
    radius = (np.arange(int((highest[-1] + 2.0) * PER_PX)) + 0.5) / PER_PX
    between = 0.5 * (highest[:-1] + lowest[1:])
    return np.searchsorted(between, radius).astype(np.int32)


cdef _sorted(const int[:, ::1] group, const float[:, ::1] x, const double[:, ::1] counts, Py_ssize_t groups):
    """Pixels by group, and within a group in the order of the image."""
    cdef Py_ssize_t rows = group.shape[0], columns = group.shape[1], y, z, at, total = 0, number
    starts_of = np.zeros(groups + 1, np.int64)
    cdef long long[::1] starts = starts_of
    with nogil:
        for z in range(rows):
            for y in range(columns):
                if group[z, y] >= 0:
                    starts[group[z, y]] += 1
        for at in range(groups):
            number = starts[at]
            starts[at] = total
            total += number
        starts[groups] = total
    pixels, distances, values_of = np.empty(total, np.int32), np.empty(total, np.float32), np.empty(total)
    cdef int[::1] pixel = pixels
    cdef float[::1] distance = distances
    cdef double[::1] values = values_of
    cdef long long[::1] free = starts_of.copy()
    with nogil:
        for z in range(rows):
            for y in range(columns):
                if group[z, y] >= 0:
                    at = free[group[z, y]]
                    free[group[z, y]] = at + 1
                    pixel[at] = <int>(z * columns + y)
                    distance[at] = x[z, y]
                    values[at] = counts[z, y]
    return starts_of, pixels, distances, values_of


def highest_places(const long long[::1] starts, const float[::1] x, const double[::1] values,
                   const long long[::1] window_of, const double[:, ::1] peaks, const double[::1] reach):
    """Shift of the ring or the pair of rings of each group at which its pixels are brightest, to a px.

    Parameters
    ----------
    starts, x, values : of `group_pixels`
    window_of : (g,) int64, window of each group
    peaks : (w, 2) float64, px from the middle of the window: where the rings are expected; NaN where there is one only
    reach : (w,) float64, px, largest shift

    Returns
    -------
    (g,) float64, px; NaN where no shift has pixels
    """
    cdef Py_ssize_t groups = window_of.shape[0], g, i, k, bin, length
    cdef Py_ssize_t half = <Py_ssize_t>floor(np.max(reach) + np.nanmax(np.abs(peaks))) + 2
    result = np.full(groups, np.nan)
    cdef double[::1] out = result
    cdef double[::1] total = np.empty(2 * half + 1)
    cdef long long[::1] number = np.empty(2 * half + 1, np.int64)
    cdef double score, best
    cdef int shift, most
    with nogil:
        length = 2 * half + 1
        for g in range(groups):
            if starts[g + 1] == starts[g]:
                continue
            k = window_of[g]
            total[:] = 0.0
            number[:] = 0
            for i in range(starts[g], starts[g + 1]):
                bin = <Py_ssize_t>floor(x[i] + 0.5) + half
                if 0 <= bin < length:
                    total[bin] += values[i]
                    number[bin] += 1
            best = -1e300
            most = <int>floor(reach[k])
            for shift in range(-most, most + 1):
                score = _brightness(total, number, half + shift, peaks[k, 0], peaks[k, 1])
                if score > best:
                    best = score
                    out[g] = shift
    return result


cdef inline double _brightness(const double[::1] total, const long long[::1] number, Py_ssize_t middle, double one,
                               double other) noexcept nogil:
    """Mean counts where the rings would be; -1e300 without pixels."""
    cdef double score = 0.0
    cdef Py_ssize_t bin
    cdef int peak
    for peak in range(2):
        if peak == 1 and other != other:
            break
        bin = middle + <Py_ssize_t>floor((one if peak == 0 else other) + 0.5)
        if bin < 0 or bin >= total.shape[0] or number[bin] == 0:
            return -1e300
        score = score + total[bin] / number[bin]
    return score
