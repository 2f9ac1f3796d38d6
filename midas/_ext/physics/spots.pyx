"""The predictor and its inverse for Python: arrays in, arrays out; see `midas.experiment.DetectorGeometry`."""
import numpy as np

from libc.math cimport NAN

from midas._ext.numerics.elementary cimport atan2, sincos
from midas._ext.physics.geometry cimport DEG2RAD, RAD2DEG, eta_of, scattering_of_spot
from midas._ext.physics.lattice cimport theta_of
from midas._ext.physics.predict cimport (
    BothOmegas, Firing, OriginSpot, centre, displace, fires_recorded, first_branch, lean_omega, record_branch,
    straighten, straighten_omega)
from midas._ext.physics.wedge cimport Instrument, instrument_of, lean_spot, straighten_spot

cdef enum:
    COLUMNS = 6            # of a predicted spot

cdef tuple NO_TILTS = (0.0, 0.0, 0.0)


cdef Instrument _instrument(double lsd, double wavelength, double wedge, bint exact, tilts):
    return instrument_of(lsd, wavelength, wedge, exact, tilts[0], tilts[1], tilts[2])


cdef inline void _predict(const Instrument* instrument, const Firing* f, double branch, const double* position,
                          double[:, :, ::1] out, Py_ssize_t i, Py_ssize_t j) noexcept nogil:
    cdef OriginSpot spot
    cdef BothOmegas omegas
    record_branch(instrument, f, branch, position, &spot, &omegas)
    out[0, i, j] = RAD2DEG * atan2(omegas.sin_recorded, omegas.cos_recorded)
    out[1, i, j] = RAD2DEG * atan2(omegas.sin_ideal, omegas.cos_ideal)
    out[2, i, j] = spot.y
    out[3, i, j] = spot.z
    out[4, i, j] = 2.0 * theta_of(f.sin_theta)
    out[5, i, j] = eta_of(branch * f.e, f.k3)


def predicted_spots(const double[:, ::1] g, const double[:, ::1] positions, double lsd, double wavelength,
                    double wedge, bint exact, tilts=NO_TILTS):
    """Both spots of every reflection.

    Parameters
    ----------
    g : (n, 3) float64, scattering vectors in the sample frame, 1/Å
    positions : (n, 3) float64, of the grain that each belongs to, sample frame, µm
    lsd, wavelength, wedge : µm, Å, degrees
    exact : whether spots turn with the leaning axis, or the wedge moves omega only
    tilts : of the detector about x, y and z, degrees

    Returns
    -------
    (6, n, 2) float64: omega_recorded, omega_ideal (degrees, -180 ... 180), y_plane, z_plane (µm), two_theta, eta
    (degrees, of the diffracted beam); of each reflection the branch with the larger cosine of omega first, the
    recorded one if `exact`, else the ideal one. NaN where a reflection never fires, or not forwards; omega_ideal is the
    recorded one where there is no ideal spot.

    Raises
    ------
    ValueError : when the shapes do not fit
    """
    cdef Py_ssize_t i, j, n = g.shape[0]
    cdef Instrument instrument = _instrument(lsd, wavelength, wedge, exact, tilts)
    cdef Firing f
    cdef double branch
    if g.shape[1] != 3 or positions.shape[0] != n or positions.shape[1] != 3:
        raise ValueError("g and positions must be (n, 3)")
    result = np.full((COLUMNS, n, 2), NAN)
    cdef double[:, :, ::1] out = result
    with nogil:
        for i in range(n):
            if fires_recorded(&instrument, g[i, 0], g[i, 1], g[i, 2], &f):
                branch = first_branch(g[i, 1])
                for j in range(2):
                    _predict(&instrument, &f, branch, &positions[i, 0], out, i, j)
                    branch = -branch
    return result


def scattering_vectors(const double[::1] y, const double[::1] z, const double[::1] omega,
                       const double[:, ::1] positions, double lsd, double wavelength, double wedge, bint exact,
                       tilts=NO_TILTS):
    """Scattering vectors in the sample frame of observed spots: the inverse of `predicted_spots`.

    Parameters
    ----------
    y, z : (n,) float64, µm on the plane without tilt and distortion
    omega : (n,) float64, degrees, as recorded
    positions : (n, 3) float64, of the grain that each belongs to, sample frame, µm
    lsd, wavelength, wedge : µm, Å, degrees
    exact : whether spots turn with the leaning axis, or the wedge moves omega only
    tilts : of the detector about x, y and z, degrees

    Returns
    -------
    (n, 3) float64, 1/Å

    Raises
    ------
    ValueError : when the shapes do not fit
    """
    cdef Py_ssize_t i, j, n = y.shape[0]
    cdef Instrument instrument = _instrument(lsd, wavelength, wedge, exact, tilts)
    cdef double[3] k
    cdef double[3] vector
    cdef double c, s, spot_y, spot_z
    if not n == z.shape[0] == omega.shape[0] == positions.shape[0] or positions.shape[1] != 3:
        raise ValueError("one z, omega and position of three numbers per y")
    result = np.empty((n, 3))
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(n):
            sincos(DEG2RAD * omega[i], &s, &c)
            spot_y = y[i]
            spot_z = z[i]
            centre(&instrument, c, s, &positions[i, 0], &spot_y, &spot_z)
            scattering_of_spot(lsd, spot_y, spot_z, k)
            straighten(&instrument, k, &spot_y, &spot_z, &c, &s, vector)
            for j in range(3):
                out[i, j] = vector[j] / wavelength
    return result


def moved_spots(const double[::1] y, const double[::1] z, const double[::1] omega, const double[:, ::1] positions,
                double lsd, double wedge, bint back, tilts=NO_TILTS):
    """Spots of a grain at the origin to those of a grain at a position, or `back`.

    Parameters
    ----------
    y, z : (n,) float64, µm on the plane without tilt and distortion
    omega : (n,) float64, degrees, as recorded
    positions : (n, 3) float64, sample frame, µm
    lsd, wedge : µm, degrees
    tilts : of the detector about x, y and z, degrees

    Returns
    -------
    (2, n) float64: y, z, µm

    Raises
    ------
    ValueError : when the shapes do not fit
    """
    cdef Py_ssize_t i, n = y.shape[0]
    cdef Instrument instrument = _instrument(lsd, NAN, wedge, False, tilts)
    cdef double c, s
    if not n == z.shape[0] == omega.shape[0] == positions.shape[0] or positions.shape[1] != 3:
        raise ValueError("one z, omega and position of three numbers per y")
    result = np.array([y, z])
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(n):
            sincos(DEG2RAD * omega[i], &s, &c)
            if back:
                centre(&instrument, c, s, &positions[i, 0], &out[0, i], &out[1, i])
            else:
                displace(&instrument, c, s, &positions[i, 0], &out[0, i], &out[1, i])
    return result


cdef inline bint _turn(const Instrument* instrument, bint back, double* y, double* z, double* c,
                       double* s) noexcept nogil:
    cdef double[3] k
    if instrument.exact:
        return lean_spot(instrument, y, z, c, s) if back else straighten_spot(instrument, y, z, c, s)
    scattering_of_spot(instrument.lsd, y[0], z[0], k)
    if back:
        lean_omega(instrument, k, c, s)
    else:
        straighten_omega(instrument, k, c, s)
    return True


def turned_spots(const double[::1] y, const double[::1] z, const double[::1] omega, double lsd, double wedge,
                 bint exact, bint back):
    """Recorded spots of a grain at the origin to the ideal ones of an upright axis, or `back`.

    Parameters
    ----------
    y, z, omega : (n,) float64, µm on the plane without tilt and distortion, degrees
    lsd, wedge : µm, degrees
    exact : whether spots turn with the leaning axis, or the wedge moves omega only

    Returns
    -------
    (3, n) float64: y, z, omega (-180 ... 180 degrees); NaN where there is no such spot

    Raises
    ------
    ValueError : when the shapes do not fit
    """
    cdef Py_ssize_t i, n = y.shape[0]
    cdef Instrument instrument = instrument_of(lsd, NAN, wedge, exact, 0.0, 0.0, 0.0)
    cdef double c, s
    if not n == z.shape[0] == omega.shape[0]:
        raise ValueError("one z and omega per y")
    result = np.array([y, z, omega])
    cdef double[:, ::1] out = result
    with nogil:
        for i in range(n):
            sincos(DEG2RAD * omega[i], &s, &c)
            if _turn(&instrument, back, &out[0, i], &out[1, i], &c, &s):
                out[2, i] = RAD2DEG * atan2(s, c)
            else:
                out[0, i] = out[1, i] = out[2, i] = NAN
    return result
