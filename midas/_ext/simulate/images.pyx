"""The images of spots: where they are drawn, and how they become counts (docs/theory/simulation.md#image-of-a-spot)."""
import numpy as np

from cython.parallel cimport prange, threadid
from libc.math cimport ceil, floor, fmax, fmin, round
from libc.stdint cimport uint16_t

from midas._ext.numerics.elementary cimport erf, exp
from midas._ext.numerics.stop cimport Listening, stopped

cdef enum:
    FARTHEST = 49          # a spot's image ends this many pixels from its centre


cdef struct Window:
    Py_ssize_t y_low
    Py_ssize_t y_high      # one past the last pixel
    Py_ssize_t z_low
    Py_ssize_t z_high


cdef inline int _reach(double sigma) noexcept nogil:
    return <int>fmin(FARTHEST, ceil(4.0 * sigma))


cdef inline Window _window(double hor, double vert, int reach, Py_ssize_t pixels_y, Py_ssize_t pixels_z) noexcept nogil:
    """The pixels that a spot may touch."""
    cdef Window w
    cdef Py_ssize_t y = <Py_ssize_t>round(hor), z = <Py_ssize_t>round(vert)
    w.y_low = y - reach if y > reach else 0
    w.z_low = z - reach if z > reach else 0
    w.y_high = y + reach + 1 if y + reach + 1 < pixels_y else pixels_y
    w.z_high = z + reach + 1 if z + reach + 1 < pixels_z else pixels_z
    return w


cdef inline double _profile(double x, double centre, double sigma, bint integrate) noexcept nogil:
    """Gaussian of height 1 at a pixel centre, or its mean over the pixel."""
    cdef double u = x - centre
    cdef double s
    if integrate:
        s = 0.7071067811865476 / sigma
        return 1.2533141373155003 * sigma * (erf((u + 0.5) * s) - erf((u - 0.5) * s))
    return exp(-(u * u) / (2.0 * sigma * sigma))


cdef void _add_spot(float* canvas, Py_ssize_t width, const Window* w, double hor, double vert, float amplitude,
                    double sigma, bint integrate) noexcept nogil:
    cdef double[2 * FARTHEST + 1] along_y
    cdef double along_z
    cdef float* row
    cdef Py_ssize_t i, j, n = w.y_high - w.y_low
    for i in range(n):
        along_y[i] = _profile(w.y_low + i, hor, sigma, integrate)
    for j in range(w.z_low, w.z_high):
        along_z = _profile(j, vert, sigma, integrate)
        row = canvas + j * width + w.y_low
        for i in range(n):
            row[i] += <float>(along_y[i] * along_z * amplitude)


cdef inline void _clear(float* canvas, Py_ssize_t width, const Window* w) noexcept nogil:
    cdef Py_ssize_t i, j
    for j in range(w.z_low, w.z_high):
        for i in range(w.y_low, w.y_high):
            canvas[j * width + i] = 0.0


cdef inline float _brightest(const float* canvas, Py_ssize_t width, const Window* w) noexcept nogil:
    cdef Py_ssize_t i, j
    cdef float largest = 0.0
    for j in range(w.z_low, w.z_high):
        for i in range(w.y_low, w.y_high):
            if canvas[j * width + i] > largest:
                largest = canvas[j * width + i]
    return largest


def brightest_pixel(const long long[::1] offsets, const double[::1] hor, const double[::1] vert,
                    const float[::1] amplitude, double sigma, bint integrate, float[:, :, ::1] canvases):
    """Largest value of all frames before scaling; touches only pixels near spots.

    Parameters
    ----------
    offsets : (f + 1,) int64, frame i holds the spots ``offsets[i] : offsets[i + 1]``
    hor, vert : (k,) float64, px
    amplitude : (k,) float32
    sigma : px
    integrate : mean of the Gaussian over each pixel instead of its value at the centre
    canvases : (threads, z, y) float32, zeros; zeros again afterwards

    Returns
    -------
    float, 0 without spots
    """
    cdef Py_ssize_t frames = offsets.shape[0] - 1, pixels_z = canvases.shape[1], pixels_y = canvases.shape[2]
    cdef int threads = canvases.shape[0], reach = _reach(sigma), t
    cdef Py_ssize_t f, k
    cdef float* canvas
    cdef Window w
    largest = np.zeros(frames, np.float32)
    cdef float[::1] out = largest
    with Listening():
        for f in prange(frames, nogil=True, num_threads=threads, schedule="dynamic"):
            if stopped():
                continue
            t = threadid()
            canvas = &canvases[t, 0, 0]
            for k in range(offsets[f], offsets[f + 1]):
                w = _window(hor[k], vert[k], reach, pixels_y, pixels_z)
                _add_spot(canvas, pixels_y, &w, hor[k], vert[k], amplitude[k], sigma, integrate)
            for k in range(offsets[f], offsets[f + 1]):
                w = _window(hor[k], vert[k], reach, pixels_y, pixels_z)
                out[f] = fmax(out[f], _brightest(canvas, pixels_y, &w))
            for k in range(offsets[f], offsets[f + 1]):
                w = _window(hor[k], vert[k], reach, pixels_y, pixels_z)
                _clear(canvas, pixels_y, &w)
    return float(largest.max(initial=0.0))


def draw_spots(float[:, ::1] canvas, const double[::1] hor, const double[::1] vert, const float[::1] amplitude,
               double sigma, bint integrate):
    """Add the images of spots to `canvas` ((z, y) float32), in their order."""
    cdef Py_ssize_t pixels_z = canvas.shape[0], pixels_y = canvas.shape[1], k
    cdef int reach = _reach(sigma)
    cdef Window w
    with nogil:
        for k in range(hor.shape[0]):
            w = _window(hor[k], vert[k], reach, pixels_y, pixels_z)
            _add_spot(&canvas[0, 0], pixels_y, &w, hor[k], vert[k], amplitude[k], sigma, integrate)


def clear_spots(float[:, ::1] canvas, const double[::1] hor, const double[::1] vert, double sigma):
    """Set to zero what `draw_spots` touched."""
    cdef Py_ssize_t pixels_z = canvas.shape[0], pixels_y = canvas.shape[1], k
    cdef int reach = _reach(sigma)
    cdef Window w
    with nogil:
        for k in range(hor.shape[0]):
            w = _window(hor[k], vert[k], reach, pixels_y, pixels_z)
            _clear(&canvas[0, 0], pixels_y, &w)


def count_spots(const float[:, ::1] canvas, uint16_t[:, ::1] image, const double[::1] hor, const double[::1] vert,
                double sigma, float scale, float largest, double background, bint nearest):
    """Counts of the pixels near spots: ``canvas·scale/largest + background``, cut to whole numbers in 0 ... 65535.

    Parameters
    ----------
    canvas : (z, y) float32
    image : (z, y) uint16; pixels away from spots stay as they are
    hor, vert : (k,) float64, px
    scale, largest : float32 factors, multiplied and divided in this order
    nearest : round half up instead of cutting
    """
    cdef Py_ssize_t pixels_z = canvas.shape[0], pixels_y = canvas.shape[1], k, i, j
    cdef int reach = _reach(sigma)
    cdef double value, half = 0.5 if nearest else 0.0
    cdef float scaled
    cdef Window w
    with nogil:
        for k in range(hor.shape[0]):
            w = _window(hor[k], vert[k], reach, pixels_y, pixels_z)
            for j in range(w.z_low, w.z_high):
                for i in range(w.y_low, w.y_high):
                    scaled = canvas[j, i] * scale
                    scaled = scaled / largest
                    value = floor(scaled + background + half)
                    image[j, i] = <uint16_t>fmin(fmax(value, 0.0), 65535.0)
