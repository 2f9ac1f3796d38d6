"""How the place of a pixel on the plane moves with the numbers of the detector.

See docs/theory/calibration.md#derivatives. Per µm of lsd, px of the beam centre and of the pixel, degree of a tilt, one
of a distortion. The four-fold distortion counts as p1c = p1 cos p3 and p1s = p1 sin p3, in which the place is linear.
"""
from libc.math cimport cos, sin, sqrt

from midas._ext.physics.geometry cimport DEG2RAD, Detector

cdef enum:
    BY_LSD
    BY_Y_BC
    BY_Z_BC
    BY_TX
    BY_TY
    BY_TZ
    BY_P0
    BY_P1C
    BY_P1S
    BY_P2
    DETECTOR_SLOPES        # numbers of the instrument
    BY_Y_PX = DETECTOR_SLOPES
    BY_Z_PX
    ALL_SLOPES


cdef struct SlopedDetector:
    Detector d
    double p1c
    double p1s
    double by_angle[3][6]  # columns 1 and 2 of the tilt matrix by tx, ty, tz (degrees), row after row


cdef struct PlaneSlopes:
    double radius          # of the ideal plane, µm
    double unit_y          # (y_plane, z_plane) / radius
    double unit_z
    double radial[ALL_SLOPES]       # of the radius, µm
    double tangential[ALL_SLOPES]   # along the ring, towards smaller eta, µm


cdef inline SlopedDetector sloped_detector(const double[::1] packed, const Detector* d) noexcept nogil:
    """What `plane_slopes` needs of the twelve numbers, which `d` was unpacked from."""
    cdef SlopedDetector s
    cdef double cx = cos(DEG2RAD * packed[9]), sx = sin(DEG2RAD * packed[9])
    cdef double cy = cos(DEG2RAD * packed[10]), sy = sin(DEG2RAD * packed[10])
    cdef double cz = cos(DEG2RAD * packed[11]), sz = sin(DEG2RAD * packed[11])
    cdef double row0, row1, row2
    cdef int j
    s.d = d[0]
    s.p1c = d.p1 * cos(DEG2RAD * d.p3)
    s.p1s = d.p1 * sin(DEG2RAD * d.p3)
    for j in range(2):
        s.by_angle[0][j] = 0.0
        s.by_angle[0][2 + j] = -DEG2RAD * d.tilt[7 + j]
        s.by_angle[0][4 + j] = DEG2RAD * d.tilt[4 + j]
        row0 = sy * sz if j == 0 else cy                   # Ry Rz by ty
        row2 = cy * sz if j == 0 else -sy
        s.by_angle[1][j] = DEG2RAD * row0
        s.by_angle[1][2 + j] = -DEG2RAD * sx * row2
        s.by_angle[1][4 + j] = DEG2RAD * cx * row2
        row0 = -cy * cz if j == 0 else 0.0                 # and by tz
        row1 = -sz if j == 0 else 0.0
        row2 = sy * cz if j == 0 else 0.0
        s.by_angle[2][j] = DEG2RAD * row0
        s.by_angle[2][2 + j] = DEG2RAD * (cx * row1 - sx * row2)
        s.by_angle[2][4 + j] = DEG2RAD * (sx * row1 + cx * row2)
    return s


cdef inline void slope_by(double by_radius, double by_azimuth, double radius, double d_radius, double d_azimuth,
                          double* radial, double* tangential) noexcept nogil:
    """Of a number that moves the still distorted radius and the azimuth 90 - eta (radians)."""
    radial[0] = by_radius * d_radius + by_azimuth * d_azimuth
    tangential[0] = radius * d_azimuth


cdef inline void plane_slopes(const SlopedDetector* s, double y_px, double z_px, PlaneSlopes* p) noexcept nogil:
    """Place of a pixel on the plane and its slopes; all slopes are 0 at the beam centre."""
    cdef double yc = -(y_px - s.d.y_bc) * s.d.px, zc = (z_px - s.d.z_bc) * s.d.px
    cdef double vx = s.d.tilt[1] * yc + s.d.tilt[2] * zc
    cdef double vy = s.d.tilt[4] * yc + s.d.tilt[5] * zc
    cdef double vz = s.d.tilt[7] * yc + s.d.tilt[8] * zc
    cdef double q2 = vy * vy + vz * vz, depth = s.d.lsd + vx
    cdef double q = sqrt(q2)
    cdef double radius, rho2, cos2, sin2, cos4, sin4, factor, two, four, by_radius, by_azimuth, dx, dy, dz, moved
    cdef int i
    if q2 == 0.0:
        p.radius = p.unit_y = p.unit_z = 0.0
        for i in range(ALL_SLOPES):
            p.radial[i] = p.tangential[i] = 0.0
        return
    p.unit_y = vy / q
    p.unit_z = vz / q
    radius = s.d.lsd * q / depth
    rho2 = (radius / s.d.rho_d) * (radius / s.d.rho_d)
    cos2 = p.unit_y * p.unit_y - p.unit_z * p.unit_z
    sin2 = -2.0 * p.unit_y * p.unit_z
    cos4 = cos2 * cos2 - sin2 * sin2
    sin4 = 2.0 * sin2 * cos2
    two = rho2 * (s.d.p0 * cos2 + s.d.p2)
    four = rho2 * rho2 * (s.p1c * cos4 - s.p1s * sin4)
    factor = 1.0 + two + four
    by_radius = factor + 2.0 * two + 4.0 * four
    by_azimuth = -radius * rho2 * (2.0 * s.d.p0 * sin2 + 4.0 * rho2 * (s.p1c * sin4 + s.p1s * cos4))
    p.radius = radius * factor
    slope_by(by_radius, by_azimuth, p.radius, radius * vx / (s.d.lsd * depth), 0.0,
             &p.radial[<int>BY_LSD], &p.tangential[<int>BY_LSD])
    for i in range(5):
        # beam centre in y and z, then tx, ty, tz: the pixel's vector moves
        if i < 2:
            moved = s.d.px if i == 0 else -s.d.px
            dx = s.d.tilt[1 + i] * moved
            dy = s.d.tilt[4 + i] * moved
            dz = s.d.tilt[7 + i] * moved
        else:
            dx = s.by_angle[i - 2][0] * yc + s.by_angle[i - 2][1] * zc
            dy = s.by_angle[i - 2][2] * yc + s.by_angle[i - 2][3] * zc
            dz = s.by_angle[i - 2][4] * yc + s.by_angle[i - 2][5] * zc
        slope_by(by_radius, by_azimuth, p.radius, radius * ((vy * dy + vz * dz) / q2 - dx / depth),
                 (vz * dy - vy * dz) / q2, &p.radial[BY_Y_BC + i], &p.tangential[BY_Y_BC + i])
    p.radial[<int>BY_P0] = radius * rho2 * cos2
    p.radial[<int>BY_P1C] = radius * rho2 * rho2 * cos4
    p.radial[<int>BY_P1S] = -radius * rho2 * rho2 * sin4
    p.radial[<int>BY_P2] = radius * rho2
    for i in range(BY_P0, DETECTOR_SLOPES):
        p.tangential[i] = 0.0
    for i in range(2):
        p.radial[BY_Y_PX + i] = -p.radial[BY_Y_BC + i]
        p.tangential[BY_Y_PX + i] = -p.tangential[BY_Y_BC + i]


cdef inline double slope_of_y(const PlaneSlopes* p, int number) noexcept nogil:
    """Of y_plane, µm."""
    return p.unit_y * p.radial[number] + p.unit_z * p.tangential[number]


cdef inline double slope_of_z(const PlaneSlopes* p, int number) noexcept nogil:
    """Of z_plane, µm."""
    return p.unit_z * p.radial[number] - p.unit_y * p.tangential[number]
