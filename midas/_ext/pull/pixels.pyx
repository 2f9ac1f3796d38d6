"""Detector pixels of boxes around predicted spots, and their values in a frame.

See docs/theory/measured_spots.md#boxes.
"""
import numpy as np

from midas._ext.numerics.elementwise import hypot

from cython.parallel cimport prange
from libc.math cimport NAN, ceil, fabs, floor, fmax, fmin
from libc.stdint cimport uint8_t
from libc.stdlib cimport free, malloc, realloc

from midas._ext.numerics.elementary cimport cos, sin
from midas._ext.numerics.pixel cimport pixel_t
from midas._ext.physics.geometry cimport (
    DEG2RAD, Detector, PlanePoint, detector_to_ideal, ideal_to_detector, unpack_detector, wrap180)
from midas._ext.physics.panels cimport PANEL_NUMBERS, panel_shift

cdef enum:
    ALONG_ARC = 8          # points along each half of the arc that say which pixels may belong to a box

#: pixels around these points
cdef double MARGIN = 2.0
#: no detector has a box of so many pixels
cdef double MOST_PIXELS = 1e8


cdef struct PixelTable:
    # The pixels of the padded square detector, [y * side + z]
    int side
    double margin          # by which panels are displaced at most, px
    const int* numbers  # place in the raw frame; -1 = none, or masked
    const double* panels
    Py_ssize_t panel_count


cdef struct BoxPixel:
    int number         # place in the raw frame; -1 = none, or masked
    float radial           # from the middle of the box, µm
    float arc


cdef struct Found:
    BoxPixel* pixels
    long long count
    bint done


cdef void _extent(const Detector* d, double radius, double eta, double reach_r, double reach_arc, double margin,
                  double* extent) noexcept nogil:
    """First and last y, first and last z (px) that can belong to the box."""
    cdef double low = fmax(radius - reach_r, 0.0), r, angle
    cdef double y = 0.0, z = 0.0
    cdef int i, j
    extent[0] = extent[2] = 1e9
    extent[1] = extent[3] = -1e9
    for i in range(2):
        r = low if i == 0 else radius + reach_r
        for j in range(-ALONG_ARC, ALONG_ARC + 1):
            angle = DEG2RAD * eta + fmin(reach_arc / radius, 3.15) * j / ALONG_ARC
            ideal_to_detector(d, -r * sin(angle), r * cos(angle), &y, &z)
            extent[0] = fmin(extent[0], y)
            extent[1] = fmax(extent[1], y)
            extent[2] = fmin(extent[2], z)
            extent[3] = fmax(extent[3], z)
    extent[0] = floor(extent[0] - margin)
    extent[1] = ceil(extent[1] + margin)
    extent[2] = floor(extent[2] - margin)
    extent[3] = ceil(extent[3] + margin)


cdef void _find(const PixelTable* table, const Detector* d, double radius, double eta, double reach_r,
                double reach_arc, Found* found) noexcept nogil:
    """The pixels of one box; `done` stays False when memory is short."""
    cdef double extent[4]
    cdef double y_true, z_true, radial, arc, count
    cdef PlanePoint p
    cdef BoxPixel* pixels
    cdef int y, z
    cdef long long n = 0
    found.pixels = NULL
    found.count = 0
    found.done = False
    _extent(d, radius, eta, reach_r, reach_arc, MARGIN + table.margin, extent)
    count = (extent[1] - extent[0] + 1.0) * (extent[3] - extent[2] + 1.0)
    if not count < MOST_PIXELS:
        return
    pixels = <BoxPixel*>malloc(<size_t>count * sizeof(BoxPixel))
    if pixels == NULL:
        return
    for y in range(<int>extent[0], <int>extent[1] + 1):
        for z in range(<int>extent[2], <int>extent[3] + 1):
            y_true = y
            z_true = z
            if table.panel_count:
                panel_shift(table.panels, table.panel_count, &y_true, &z_true)
            p = detector_to_ideal(d, y_true, z_true)
            radial = p.radius - radius
            if not fabs(radial) <= reach_r:
                continue
            arc = DEG2RAD * wrap180(p.eta_plane - eta) * radius
            if not fabs(arc) <= reach_arc:
                continue
            pixels[n].radial = <float>radial
            pixels[n].arc = <float>arc
            pixels[n].number = -1
            if 0 <= y < table.side and 0 <= z < table.side:
                pixels[n].number = table.numbers[<Py_ssize_t>y * table.side + z]
            n += 1
    found.count = n
    found.pixels = <BoxPixel*>realloc(pixels, (n + 1) * sizeof(BoxPixel))
    found.done = found.pixels != NULL
    if not found.done:
        free(pixels)


def box_pixels(const double[::1] radius, const double[::1] eta, const double[::1] reach_r, const double[::1] reach_arc,
               const double[::1] detector, const double[:, ::1] panels, const int[:, ::1] numbers, int threads=1):
    """The pixels of boxes in radius and along the ring, on the plane without tilt and distortion.

    Parameters
    ----------
    radius, eta : (n,) float64, middle of each box, µm and degrees
    reach_r, reach_arc : (n,) float64, half widths, µm
    detector : (12,) float64, `midas.experiment.DetectorGeometry.packed`
    panels : (p, 8) float64, see `midas._ext.physics.panels`
    numbers : (N, N) int32, indexed [y, z]: place of each detector pixel in the raw frame, -1 = none, or masked

    Returns
    -------
    offsets : (n + 1,) int64; box i has the entries offsets[i] : offsets[i + 1] of the next, in the order of y and z
    number : int32, place in the raw frame; -1 where the detector has no pixel or it is masked
    radial, arc : float32, its distance from the middle of the box, outwards and along the ring (rising eta), µm

    Raises
    ------
    ValueError : arrays that do not fit together
    MemoryError : no room for the pixels of a box
    """
    cdef Py_ssize_t n = radius.shape[0], i
    cdef Detector d
    cdef PixelTable table
    cdef Found* found
    if not n == eta.shape[0] == reach_r.shape[0] == reach_arc.shape[0] or detector.shape[0] != 12:
        raise ValueError("four numbers per box, and twelve of the detector")
    if panels.shape[1] != PANEL_NUMBERS or numbers.shape[0] != numbers.shape[1]:
        raise ValueError(f"{PANEL_NUMBERS} numbers per panel, and a square detector")
    d = unpack_detector(detector)
    table.side = <int>numbers.shape[0]
    table.numbers = &numbers[0, 0] if table.side else NULL
    table.panel_count = panels.shape[0]
    table.panels = &panels[0, 0] if panels.shape[0] else NULL
    table.margin = _largest_shift(panels)
    memory = np.zeros(max(n, 1) * sizeof(Found), np.uint8)
    cdef uint8_t[::1] raw = memory
    found = <Found*>&raw[0]
    for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic", chunksize=16):
        _find(&table, &d, radius[i], eta[i], reach_r[i], reach_arc[i], &found[i])
    return _joined(found, n)


cdef _joined(Found* found, Py_ssize_t n):
    """The pixels of all boxes, one box after the other, whose own memory is given back."""
    cdef Py_ssize_t i
    cdef long long at
    cdef bint failed = False
    offsets = np.zeros(n + 1, np.int64)
    cdef long long[::1] first = offsets
    for i in range(n):
        failed = failed or not found[i].done
        first[i + 1] = first[i] + found[i].count
    total = 0 if failed else offsets[n]
    number, radial, arc = np.empty(total, np.int32), np.empty(total, np.float32), np.empty(total, np.float32)
    cdef int[::1] numbers_out = number
    cdef float[::1] radial_out = radial, arc_out = arc
    for i in range(n):
        if not failed:
            for at in range(found[i].count):
                numbers_out[first[i] + at] = found[i].pixels[at].number
                radial_out[first[i] + at] = found[i].pixels[at].radial
                arc_out[first[i] + at] = found[i].pixels[at].arc
        if found[i].done:
            free(found[i].pixels)
    if failed:
        raise MemoryError("no room for the pixels of a box; make PullBox smaller")
    return offsets, number, radial, arc


def _largest_shift(panels):
    """By how many pixels a panel displaces its pixels at most."""
    p = np.asarray(panels)
    if not len(p):
        return 0.0
    half = 0.5 * hypot(p[:, 1] - p[:, 0], p[:, 3] - p[:, 2])
    return float((hypot(p[:, 6], p[:, 7]) + half * hypot(p[:, 4] - 1, p[:, 5])).max())


cdef inline float _counts(pixel_t raw, double dark, double gain, const double* blanks,
                          Py_ssize_t blank_count) noexcept nogil:
    cdef Py_ssize_t i
    for i in range(blank_count):
        if raw == blanks[i]:
            return NAN
    return <float>((raw - dark) * gain)


def gather(const pixel_t[::1] frame, const float[::1] dark, const float[::1] gain, const double[::1] blanks,
           const long long[::1] boxes, const long long[::1] slots, const long long[::1] offsets, const int[::1] numbers,
           const long long[::1] starts, float[::1] values):
    """Copy the pixels of boxes from a frame.

    Parameters
    ----------
    frame : raw values, flat, of the detector's own type
    dark, gain : float32, per raw pixel, or one for all: counts = (raw value - dark) * gain
    blanks : (b,) float64, raw values that are none
    boxes, slots : (m,) int64, boxes that see this frame, and as which of their frames
    offsets, numbers : of `box_pixels`, which must be places in the frame
    starts : (n + 1,) int64, where the values of each box begin: a row of its pixels per frame
    values : (starts[n],) float32, filled; NaN where there is no value

    Raises
    ------
    ValueError : arrays that do not fit together
    """
    cdef const double* blank = &blanks[0] if blanks.shape[0] else NULL
    cdef Py_ssize_t m = boxes.shape[0], i, blank_count = blanks.shape[0]
    cdef bint has_dark = dark.shape[0] > 1, has_gain = gain.shape[0] > 1
    cdef long long b, at, pixels, first, to
    cdef int number
    if slots.shape[0] != m or starts.shape[0] != offsets.shape[0]:
        raise ValueError("a slot per box, and as many starts as offsets")
    if dark.shape[0] not in (1, frame.shape[0]) or gain.shape[0] not in (1, frame.shape[0]):
        raise ValueError("dark and gain of every pixel, or one for all")
    with nogil:
        for i in range(m):
            b = boxes[i]
            first = offsets[b]
            pixels = offsets[b + 1] - first
            to = starts[b] + slots[i] * pixels
            for at in range(pixels):
                number = numbers[first + at]
                values[to + at] = NAN if number < 0 else _counts(
                    frame[number], dark[number if has_dark else 0], gain[number if has_gain else 0], blank, blank_count)
