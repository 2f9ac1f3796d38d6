"""The spots of simulated grains (docs/theory/simulation.md#spots-of-a-grain)."""
import numpy as np

from cython.parallel cimport prange
from libc.math cimport fabs, floor, fmax, fmin, isnan, sqrt

from midas._ext.legacy.diffraction cimport RingSpot, legacy_omegas, ring_spot
from midas._ext.legacy.distortion_map cimport mapped
from midas._ext.legacy.simulated cimport SimulatedSpot, first_order_spot
from midas._ext.numerics.elementary cimport atan2
from midas._ext.numerics.stop cimport Listening, stopped
from midas._ext.physics.geometry cimport RAD2DEG, Detector, eta_of, ideal_to_detector, unpack_detector
from midas._ext.physics.lattice cimport reciprocal_basis, theta_of
from midas._ext.physics.panels cimport PANEL_NUMBERS, panel_unshift
from midas._ext.physics.predict cimport (
    BothOmegas, Firing, OriginSpot, both_omegas, displace, fires_recorded, first_branch, plane_scale, spot_of_branch)
from midas._ext.physics.rotation cimport matrix_product, matrix_vector
from midas._ext.physics.wedge cimport Instrument, instrument_of

#: rows of the table that `simulate_spots` returns, in order; midas.formats.simulated says what the file calls them
SPOT_COLUMNS = (
    "grain", "spot_id", "omega_recorded", "y_px", "z_px", "omega_ideal", "eta", "ring", "y_recorded", "z_recorded",
    "theta", "strain_error", "scan", "radius", "frame",
)

cdef enum SpotColumn:
    GRAIN
    SPOT_ID
    OMEGA_RECORDED
    Y_PX
    Z_PX
    OMEGA_IDEAL
    ETA
    RING
    Y_RECORDED
    Z_RECORDED
    THETA
    STRAIN_ERROR
    SCAN
    RADIUS
    FRAME
    COLUMNS                # how many

cdef struct Experiment:
    Detector detector
    Instrument instrument
    Py_ssize_t pixels_y
    Py_ssize_t pixels_z
    const double* panels
    Py_ssize_t n_panels
    const double* map      # legacy distortion map, for legacy spots; NULL for exact ones
    const double* hkls     # h, k, l, ring
    Py_ssize_t n_hkls
    const double* samples  # wavelengths
    Py_ssize_t n_samples
    double omega_start
    double omega_step
    double omega_low
    double omega_high
    double frames
    double half_beam       # negative: no beam filter

cdef struct Output:
    double* columns        # of the grain's first spot; NULL: only count
    Py_ssize_t stride
    Py_ssize_t count       # spots so far
    double grain
    double spot_id
    double ring


cdef inline bint _on_detector(const Experiment* e, double* y, double* z, double* hor, double* vert) noexcept nogil:
    """Ideal to raw position (µm, in place) and pixel; False outside the detector.

    See docs/theory/simulation.md#on-the-detector.
    """
    if e.map != NULL:
        if not mapped(e.map, e.pixels_y, e.pixels_z, &e.detector, y, z):
            return False
        hor[0] = e.detector.y_bc - y[0] / e.detector.px
        vert[0] = e.detector.z_bc + z[0] / e.detector.px
    else:
        ideal_to_detector(&e.detector, y[0], z[0], hor, vert)
        panel_unshift(e.panels, e.n_panels, hor, vert)
        y[0] = (e.detector.y_bc - hor[0]) * e.detector.px
        z[0] = (vert[0] - e.detector.z_bc) * e.detector.px
    return 0.0 <= hor[0] < e.pixels_y and 0.0 <= vert[0] < e.pixels_z


cdef inline void _write(const Experiment* e, const SimulatedSpot* spot, double omega, const double* place,
                        Output* out) noexcept nogil:
    """Add a spot, recorded at `omega` of the scan; `place`: y, z (µm) and pixel."""
    cdef double* row = out.columns + out.count
    cdef Py_ssize_t stride = out.stride
    cdef double frame
    row[GRAIN * stride] = out.grain
    row[SPOT_ID * stride] = out.spot_id
    row[OMEGA_RECORDED * stride] = omega
    row[Y_PX * stride] = place[2]
    row[Z_PX * stride] = place[3]
    row[OMEGA_IDEAL * stride] = spot.omega_ideal
    row[ETA * stride] = spot.eta
    row[RING * stride] = out.ring
    row[Y_RECORDED * stride] = place[0]
    row[Z_RECORDED * stride] = place[1]
    row[THETA * stride] = spot.theta
    row[STRAIN_ERROR * stride] = 0.0
    row[SCAN * stride] = 0.0
    row[RADIUS * stride] = sqrt(spot.y_plane * spot.y_plane + spot.z_plane * spot.z_plane)
    frame = floor(-(e.omega_start - omega) / e.omega_step)
    row[FRAME * stride] = fmax(fmin(frame, e.frames - 1.0), 0.0)


cdef inline double _first_in_scan(const Experiment* e, double omega) noexcept nogil:
    """The smallest angle above the lower end of the scan that is the same modulo 360."""
    while omega <= e.omega_low:
        omega += 360.0
    while omega - 360.0 > e.omega_low:
        omega -= 360.0
    return omega


cdef inline void _record(const Experiment* e, const SimulatedSpot* spot, Output* out) noexcept nogil:
    """Add a spot to the output, once a turn of the scan, if scan, beam and detector record it."""
    cdef double omega = _first_in_scan(e, spot.omega_recorded)
    cdef double[4] place
    place[0], place[1], place[2], place[3] = spot.y_plane, spot.z_plane, 0.0, 0.0
    if not omega < e.omega_high:
        return
    if e.half_beam >= 0.0 and fabs(spot.across) > e.half_beam:
        return
    if not _on_detector(e, &place[0], &place[1], &place[2], &place[3]):
        return
    while omega < e.omega_high:
        if out.columns != NULL:
            _write(e, spot, omega, place, out)
        out.count += 1
        omega += 360.0


cdef inline bint _predicted(const Experiment* e, const Firing* f, double branch, double wavelength,
                            const double* position, SimulatedSpot* spot) noexcept nogil:
    """One branch recorded with one wavelength of the beam; False when it does not diffract that one.

    Omega and eta are those of the beam's mean wavelength; only the distance from the beam follows the sample, and in
    the legacy model the shift of omega.
    """
    cdef double sin_theta = 0.5 * wavelength / f.d_spacing, ratio
    cdef double[3] k
    cdef OriginSpot origin
    cdef BothOmegas omegas
    if not 2.0 * sin_theta * sin_theta < 1.0:
        return False
    spot_of_branch(f, branch, &origin)
    # The length of G across the beam, |G| cos θ, in units of that for the mean wavelength
    ratio = sqrt((1.0 - sin_theta * sin_theta) / (1.0 - f.sin_theta * f.sin_theta))
    k[0] = -f.sin_theta if e.instrument.exact else -sin_theta
    k[1] = branch * f.e * f.d_spacing
    k[2] = f.k3 * f.d_spacing
    if not e.instrument.exact:
        k[1] *= ratio
        k[2] *= ratio
    both_omegas(&e.instrument, k, &origin, &omegas)
    spot.omega_ideal = RAD2DEG * atan2(omegas.sin_ideal, omegas.cos_ideal)
    spot.omega_recorded = RAD2DEG * atan2(omegas.sin_recorded, omegas.cos_recorded)
    spot.eta = eta_of(branch * f.e, f.k3)
    spot.theta = theta_of(sin_theta)
    ratio *= plane_scale(e.instrument.lsd, sin_theta, f.d_spacing) / f.scale
    spot.y_plane = ratio * origin.y
    spot.z_plane = ratio * origin.z
    spot.across = position[0] * omegas.sin_recorded + position[1] * omegas.cos_recorded
    displace(&e.instrument, omegas.cos_recorded, omegas.sin_recorded, position, &spot.y_plane, &spot.z_plane)
    return True


cdef void _predict_grain(const Experiment* e, const double* u, const double* basis, const double* position,
                         Output* out) noexcept nogil:
    """All spots of a grain in the order hkl, solution (larger cos omega first), wavelength."""
    cdef double[9] ub
    cdef double[3] g
    cdef double branch
    cdef Firing f
    cdef SimulatedSpot spot
    cdef Py_ssize_t i, j
    cdef int _branch
    matrix_product(u, basis, ub)
    for i in range(e.n_hkls):
        matrix_vector(ub, e.hkls + 4 * i, g)
        if not fires_recorded(&e.instrument, g[0], g[1], g[2], &f):
            continue
        out.ring = e.hkls[4 * i + 3]
        branch = first_branch(g[1])
        for _branch in range(2):
            for j in range(e.n_samples):
                if _predicted(e, &f, branch, e.samples[j], position, &spot):
                    _record(e, &spot, out)
            out.spot_id += 1.0
            branch = -branch


cdef void _predict_legacy_grain(const Experiment* e, const double* u, const double* basis, const double* position,
                                Output* out) noexcept nogil:
    """The same as the legacy simulator has it."""
    cdef double[3] g_crystal
    cdef double[3] g
    cdef double[2] omega
    cdef double length2
    cdef RingSpot ray
    cdef SimulatedSpot spot
    cdef Py_ssize_t i, j
    cdef int k
    for i in range(e.n_hkls):
        matrix_vector(basis, e.hkls + 4 * i, g_crystal)
        matrix_vector(u, g_crystal, g)
        length2 = g_crystal[0] * g_crystal[0] + g_crystal[1] * g_crystal[1] + g_crystal[2] * g_crystal[2]
        out.ring = e.hkls[4 * i + 3]
        for k in range(legacy_omegas(g[0], g[1], 0.5 * e.instrument.wavelength * length2, omega)):
            ring_spot(g, omega[k], 1.0, &ray)
            if isnan(ray.eta):
                continue
            for j in range(e.n_samples):
                if first_order_spot(&e.instrument, omega[k], &ray, sqrt(length2), e.samples[j], position, &spot):
                    _record(e, &spot, out)
            out.spot_id += 1.0


cdef Py_ssize_t _grain(const Experiment* e, const double* u, const double* cell, const double* position,
                       Py_ssize_t number, double* columns, Py_ssize_t stride) noexcept nogil:
    """All spots of a grain, written to the columns; returns how many. `columns` NULL: only count them."""
    cdef double[9] basis
    cdef Output out
    out.columns = columns
    out.stride = stride
    out.count = 0
    out.grain = number
    out.spot_id = 0.0
    reciprocal_basis(cell, basis)
    if e.map == NULL:
        _predict_grain(e, u, basis, position, &out)
    else:
        _predict_legacy_grain(e, u, basis, position, &out)
    return out.count


cdef class SpotSimulator:
    """An experiment: what every grain is seen with.

    Parameters
    ----------
    hkls : (m, 4) float64, h, k, l and ring number
    detector : (12,) float64, `midas.experiment.detector.DetectorGeometry.packed`
    shape : pixels along z and y
    panels : (p, 8) float64, `midas.experiment.panels.panels_of`
    distortion_map : (z, y, 2) float64 of `midas._ext.legacy.distortion_map` for the legacy approximations:
        nearest-pixel distortion, first-order displacement without lean, and omega without y where |y| < 1e-4 Å⁻¹;
        None for the geometry of the analysis
    wavelength : Å, decides omega
    samples : (s,) float64, Å, wavelengths of the beam, each of which gives a spot
    omega : start, end and step of the scan, degrees
    frames : frames of the scan
    wedge : degrees
    exact_wedge : whether spots turn with the leaning axis, which a `distortion_map` excludes, or the wedge moves omega
        only
    exact_tilts : whether beams end on the tilted detector, or their spots are moved on the plane
    beam_size : µm; grains outside this width at the moment of diffraction leave no spot; not positive: no limit
    """

    cdef Experiment experiment
    cdef tuple arrays

    def __init__(self, const double[:, ::1] hkls not None, const double[::1] detector not None, shape,
                 const double[:, ::1] panels not None, const double[:, :, ::1] distortion_map, *, double wavelength,
                 const double[::1] samples not None, omega, Py_ssize_t frames, double wedge,
                 bint exact_wedge, double beam_size, bint exact_tilts=True):
        cdef Experiment* e = &self.experiment
        cdef double tx = 0.0, ty = 0.0, tz = 0.0
        if hkls.shape[1] != 4 or detector.shape[0] != 12 or panels.shape[1] != PANEL_NUMBERS:
            raise ValueError("reflections, detector, panels need 4, 12 and 8 numbers")
        e.pixels_z, e.pixels_y = shape
        e.omega_start, omega_end, e.omega_step = omega
        e.omega_low, e.omega_high = min(e.omega_start, omega_end), max(e.omega_start, omega_end)
        e.detector = unpack_detector(detector)
        if exact_tilts:
            tx, ty, tz = detector[9], detector[10], detector[11]
        e.instrument = instrument_of(e.detector.lsd, wavelength, wedge, exact_wedge, tx, ty, tz)
        e.panels = &panels[0, 0] if panels.shape[0] else NULL
        e.n_panels = panels.shape[0]
        e.map = NULL
        if distortion_map is not None:
            if e.instrument.exact:
                raise ValueError("the legacy approximations have no exact wedge")
            if distortion_map.shape[0] != e.pixels_z or distortion_map.shape[1] != e.pixels_y:
                raise ValueError("the distortion map needs the shape of the detector")
            e.map = &distortion_map[0, 0, 0]
        e.hkls = &hkls[0, 0] if hkls.shape[0] else NULL
        e.n_hkls = hkls.shape[0]
        e.samples = &samples[0] if samples.shape[0] else NULL
        e.n_samples = samples.shape[0]
        e.frames = frames
        e.half_beam = 0.5 * beam_size if beam_size > 0.0 else -1.0
        self.arrays = (hkls, panels, distortion_map, samples)

    def spots(self, const double[:, ::1] orientations not None, const double[:, ::1] cells not None,
              const double[:, ::1] positions not None, int threads=1):
        """Every spot that grains leave on the detector during one rotation.

        Parameters
        ----------
        orientations : (n, 9) float64, row-major rotation matrices, crystal to sample
        cells : (n, 6) float64, Å and degrees
        positions : (n, 3) float64, µm, sample frame

        Returns
        -------
        (15, k) float64, the rows `SPOT_COLUMNS`; spots in the order grain, hkl, solution (larger cos omega first),
        wavelength
        """
        cdef Py_ssize_t n = orientations.shape[0], i
        cdef const Experiment* e = &self.experiment
        if orientations.shape[1] != 9 or cells.shape[1] != 6 or positions.shape[1] != 3:
            raise ValueError("orientations, cells, positions need 9, 6 and 3 columns")
        if cells.shape[0] != n or positions.shape[0] != n:
            raise ValueError("one cell and one position per orientation")
        # Counting first costs the arithmetic twice but lets every thread write its grains in place.
        ends = np.zeros(n + 1, np.int64)
        cdef long long[::1] end = ends
        with Listening():
            for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
                if not stopped():
                    end[i + 1] = _grain(e, &orientations[i, 0], &cells[i, 0], &positions[i, 0], i + 1, NULL, 0)
        np.cumsum(ends, out=ends)
        spots = np.empty((<Py_ssize_t>COLUMNS, ends[n]), np.float64)
        cdef double[:, ::1] out = spots
        cdef Py_ssize_t stride = spots.shape[1]
        if stride:
            with Listening():
                for i in prange(n, nogil=True, num_threads=threads, schedule="dynamic"):
                    if not stopped():
                        _grain(e, &orientations[i, 0], &cells[i, 0], &positions[i, 0], i + 1, &out[0, 0] + end[i],
                               stride)
        return spots
