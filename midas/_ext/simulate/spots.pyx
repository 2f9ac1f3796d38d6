"""The spots of simulated grains (spec chapter 08 §4.1-4.7)."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport NAN, asin, cos, fabs, floor, fmax, fmin, isnan, sin, sqrt, tan

from midas._ext.physics.diffraction cimport (
    OmegaSolution, legacy_omegas, omega_degrees, omega_solutions, scattering_direction, wedge_omega_shift)
from midas._ext.physics.geometry cimport (
    DEG2RAD, RAD2DEG, Detector, IdealPoint, detector_to_ideal, eta_of, ideal_to_detector, rotate_z, unpack_detector)
from midas._ext.physics.lattice cimport reciprocal_basis
from midas._ext.physics.panels cimport PANEL_NUMBERS, panel_shift, panel_unshift
from midas._ext.physics.rotation cimport matrix_vector

cdef enum:
    COLUMNS = 15           # of SpotMatrixGen.csv

cdef struct Experiment:
    Detector detector
    Py_ssize_t pixels_y
    Py_ssize_t pixels_z
    const double* panels
    Py_ssize_t n_panels
    const double* map      # legacy distortion map or NULL
    const double* hkls     # h, k, l, ring
    Py_ssize_t n_hkls
    double wavelength
    const double* samples  # wavelengths
    Py_ssize_t n_samples
    double omega_start
    double omega_step
    double omega_low
    double omega_high
    double frames
    double cos_wedge
    double sin_wedge
    double half_beam       # negative: no beam filter


cdef inline bint _mapped(const Experiment* e, double* y, double* z) noexcept nogil:
    """Ideal to raw position (µm) through the nearest cell of the map; False where it has none."""
    cdef Py_ssize_t i = <Py_ssize_t>(-y[0] / e.detector.px + e.detector.y_bc)
    cdef Py_ssize_t j = <Py_ssize_t>(z[0] / e.detector.px + e.detector.z_bc)
    cdef int k
    cdef Py_ssize_t ni, nj
    cdef const double* cell
    if i < 0 or j < 0 or i >= e.pixels_y or j >= e.pixels_z:
        return False
    # The cell itself, then left, right, below, above: cells between pixels that the distortion has spread are empty.
    for k in range(5):
        ni = i + (k == 2) - (k == 1)
        nj = j + (k == 4) - (k == 3)
        if ni < 0 or nj < 0 or ni >= e.pixels_y or nj >= e.pixels_z:
            continue
        cell = e.map + 2 * (nj * e.pixels_y + ni)
        if not isnan(cell[0]):
            y[0] += cell[0]
            z[0] += cell[1]
            return True
    return False


cdef inline bint _on_detector(const Experiment* e, double* y, double* z, double* hor, double* vert) noexcept nogil:
    """Ideal to raw position (µm, in place) and pixel; False outside the detector (08 §4.7)."""
    if e.map != NULL:
        if not _mapped(e, y, z):
            return False
        hor[0] = e.detector.y_bc - y[0] / e.detector.px
        vert[0] = e.detector.z_bc + z[0] / e.detector.px
    else:
        ideal_to_detector(&e.detector, y[0], z[0], hor, vert)
        panel_unshift(e.panels, e.n_panels, hor, vert)
        y[0] = (e.detector.y_bc - hor[0]) * e.detector.px
        z[0] = (vert[0] - e.detector.z_bc) * e.detector.px
    return 0.0 <= hor[0] < e.pixels_y and 0.0 <= vert[0] < e.pixels_z


cdef inline bint _spot(const Experiment* e, const double* position, double omega_raw, double eta, double g_length,
                       double wavelength, double* out, Py_ssize_t stride) noexcept nogil:
    """One spot for one wavelength, written to the columns 2 ... 14 of `out`; False when it is not recorded."""
    cdef double half_ratio = 0.5 * wavelength * g_length
    cdef double theta, sin_eta, cos_eta, shift = 0.0, omega, radius, y, z, hor = 0.0, vert = 0.0, y_ideal, z_ideal
    cdef double[3] k
    cdef double[3] p
    if not half_ratio <= 1.0:
        return False
    theta = RAD2DEG * asin(half_ratio)
    sin_eta = sin(DEG2RAD * eta)
    cos_eta = cos(DEG2RAD * eta)
    if e.sin_wedge != 0.0:
        # The wedge moves omega only; without a solution, beside the pole, the spot stays where it is.
        scattering_direction(sin(DEG2RAD * theta), cos(DEG2RAD * theta), sin_eta, cos_eta, k)
        wedge_omega_shift(k, e.cos_wedge, e.sin_wedge, &shift)
    omega = omega_raw - shift
    if not e.omega_low < omega < e.omega_high:
        return False
    radius = e.detector.lsd * tan(2.0 * DEG2RAD * theta)
    y = -radius * sin_eta
    z = radius * cos_eta
    rotate_z(cos(DEG2RAD * omega), sin(DEG2RAD * omega), position, p)
    if e.half_beam >= 0.0 and fabs(p[1]) > e.half_beam:
        return False
    y_ideal = y + p[1] - p[0] * (y - p[1]) / (e.detector.lsd - p[0])
    z_ideal = z + p[2] - p[0] * (z - p[2]) / (e.detector.lsd - p[0])
    y = y_ideal
    z = z_ideal
    if not _on_detector(e, &y, &z, &hor, &vert):
        return False
    if out != NULL:
        out[2 * stride] = omega
        out[3 * stride] = hor
        out[4 * stride] = vert
        out[5 * stride] = omega_raw
        out[6 * stride] = eta
        out[8 * stride] = y
        out[9 * stride] = z
        out[10 * stride] = theta
        out[11 * stride] = 0.0
        out[12 * stride] = 0.0
        out[13 * stride] = sqrt(y_ideal * y_ideal + z_ideal * z_ideal)
        out[14 * stride] = fmax(fmin(floor(-(e.omega_start - omega) / e.omega_step), e.frames - 1.0), 0.0)
    return True


cdef inline int _solutions(const Experiment* e, const double* g, double v, double* omega, double* eta) noexcept nogil:
    """Rotation angles at which `g` diffracts, larger cosine first, and the azimuths there (degrees); how many."""
    cdef OmegaSolution[2] exact
    cdef double[3] rotated
    cdef int i, n = 0
    if e.map != NULL:
        n = legacy_omegas(g[0], g[1], v, omega)
        for i in range(n):
            rotate_z(cos(DEG2RAD * omega[i]), sin(DEG2RAD * omega[i]), g, rotated)
            eta[i] = eta_of(rotated[1], rotated[2])
    elif omega_solutions(g[0], g[1], v, &exact[0], &exact[1]):
        n = 2
        for i in range(n):
            omega[i] = omega_degrees(&exact[i])
            eta[i] = eta_of(exact[i].e, g[2])
    return n


cdef Py_ssize_t _grain(const Experiment* e, const double* u, const double* cell, const double* position,
                       Py_ssize_t number, double* out, Py_ssize_t stride) noexcept nogil:
    """All spots of a grain in the order hkl, solution, wavelength; returns how many. `out` NULL: only count them."""
    cdef double[9] basis
    cdef double[3] g_crystal
    cdef double[3] g
    cdef double[2] omega
    cdef double[2] eta
    cdef double length2
    cdef double* row
    cdef Py_ssize_t count = 0, spot_id = 0, i, s
    cdef int branch
    reciprocal_basis(cell, basis)
    for i in range(e.n_hkls):
        matrix_vector(basis, e.hkls + 4 * i, g_crystal)
        matrix_vector(u, g_crystal, g)
        length2 = g_crystal[0] * g_crystal[0] + g_crystal[1] * g_crystal[1] + g_crystal[2] * g_crystal[2]
        for branch in range(_solutions(e, g, 0.5 * e.wavelength * length2, omega, eta)):
            if isnan(eta[branch]):
                continue
            for s in range(e.n_samples):
                row = NULL if out == NULL else out + count
                if not _spot(e, position, omega[branch], eta[branch], sqrt(length2), e.samples[s], row, stride):
                    continue
                if row != NULL:
                    row[0] = number
                    row[stride] = spot_id
                    row[7 * stride] = e.hkls[4 * i + 3]
                count += 1
            spot_id += 1
    return count


def simulate_spots(const double[:, ::1] orientations, const double[:, ::1] cells, const double[:, ::1] positions,
                   const double[:, ::1] hkls, const double[::1] detector, shape, const double[:, ::1] panels,
                   const double[:, :, ::1] distortion_map, double wavelength, const double[::1] samples, omega,
                   Py_ssize_t frames, double wedge, double beam_size, int threads):
    """Every spot that grains leave on a detector during one rotation (08 §4.1-4.7).

    Parameters
    ----------
    orientations : (n, 9) float64, row-major rotation matrices, crystal to sample
    cells : (n, 6) float64, Å and degrees
    positions : (n, 3) float64, µm, sample frame
    hkls : (m, 4) float64, h, k, l and ring number
    detector : (12,) float64, `midas.experiment.detector.DetectorGeometry.packed`
    shape : pixels along z and y
    panels : (p, 8) float64, see `midas.experiment.detector.Panels.packed`
    distortion_map : (z, y, 2) float64 of `distortion_map` for the legacy approximations: nearest-pixel distortion, and
        omega without y where |y| < 1e-4 Å⁻¹; None for the exact inverse of the detector geometry and exact omega
    wavelength : Å, decides omega
    samples : (s,) float64, Å, wavelengths of the beam, each of which gives a spot
    omega : start, end and step of the scan, degrees
    frames : frames of the scan
    wedge : degrees
    beam_size : µm; grains outside this width at the moment of diffraction leave no spot; not positive: no limit

    Returns
    -------
    (15, k) float64, the columns of SpotMatrixGen.csv; rows in the order grain, hkl, solution (larger cos omega first),
    wavelength
    """
    cdef Py_ssize_t n = orientations.shape[0], i
    cdef Experiment e
    if orientations.shape[1] != 9 or cells.shape[1] != 6 or positions.shape[1] != 3 or hkls.shape[1] != 4:
        raise ValueError("orientations, cells, positions, hkls need 9, 6, 3 and 4 columns")
    if cells.shape[0] != n or positions.shape[0] != n or panels.shape[1] != PANEL_NUMBERS:
        raise ValueError("one cell and one position per orientation, eight numbers per panel")
    e.pixels_z, e.pixels_y = shape
    e.omega_start, omega_end, e.omega_step = omega
    e.omega_low, e.omega_high = min(e.omega_start, omega_end), max(e.omega_start, omega_end)
    e.detector = unpack_detector(detector)
    e.panels = &panels[0, 0] if panels.shape[0] else NULL
    e.n_panels = panels.shape[0]
    e.map = NULL
    if distortion_map is not None:
        if distortion_map.shape[0] != e.pixels_z or distortion_map.shape[1] != e.pixels_y:
            raise ValueError("the distortion map needs the shape of the detector")
        e.map = &distortion_map[0, 0, 0]
    e.hkls = &hkls[0, 0] if hkls.shape[0] else NULL
    e.n_hkls = hkls.shape[0]
    e.wavelength = wavelength
    e.samples = &samples[0] if samples.shape[0] else NULL
    e.n_samples = samples.shape[0]
    e.frames = frames
    e.cos_wedge = cos(DEG2RAD * wedge)
    e.sin_wedge = sin(DEG2RAD * wedge)
    e.half_beam = 0.5 * beam_size if beam_size > 0.0 else -1.0

    # Counting first costs the arithmetic twice but lets every thread write its grains in place.
    ends = np.zeros(n + 1, np.int64)
    cdef long long[::1] end = ends
    for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
        end[i + 1] = _grain(&e, &orientations[i, 0], &cells[i, 0], &positions[i, 0], i + 1, NULL, 0)
    np.cumsum(ends, out=ends)
    spots = np.empty((COLUMNS, ends[n]), np.float64)
    cdef double[:, ::1] out = spots
    cdef Py_ssize_t stride = spots.shape[1]
    if stride:
        for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
            _grain(&e, &orientations[i, 0], &cells[i, 0], &positions[i, 0], i + 1, &out[0, 0] + end[i], stride)
    return spots


def distortion_map(const double[::1] detector, shape, const double[:, ::1] panels):
    """Raw minus ideal position of the pixel whose ideal position falls into each cell (08 §4.7).

    A nearest-pixel approximation of the inverse geometry, as the legacy program has it, for comparisons row by row.

    Parameters
    ----------
    detector : (12,) float64, `midas.experiment.detector.DetectorGeometry.packed`
    shape : pixels along z and y
    panels : (p, 8) float64

    Returns
    -------
    (z, y, 2) float64, µm along y and z; NaN where no pixel falls. Of several pixels in a cell the last in order of y,
    then z, counts.
    """
    cdef Py_ssize_t pixels_z, pixels_y, i, j, ci, cj
    cdef Py_ssize_t count = panels.shape[0]
    cdef const double* panel = &panels[0, 0] if count else NULL
    cdef Detector d = unpack_detector(detector)
    cdef IdealPoint p
    cdef double y, z
    pixels_z, pixels_y = shape
    result = np.full((pixels_z, pixels_y, 2), NAN)
    cdef double[:, :, ::1] out = result
    with nogil:
        for i in range(pixels_y):
            for j in range(pixels_z):
                y = i
                z = j
                panel_shift(panel, count, &y, &z)
                p = detector_to_ideal(&d, y, z)
                if isnan(p.eta):
                    p.y = p.z = 0.0
                ci = <Py_ssize_t>(-p.y / d.px + d.y_bc)
                cj = <Py_ssize_t>(p.z / d.px + d.z_bc)
                if 0 <= ci < pixels_y and 0 <= cj < pixels_z:
                    out[cj, ci, 0] = -(i - d.y_bc) * d.px - p.y
                    out[cj, ci, 1] = (j - d.z_bc) * d.px - p.z
    return result
