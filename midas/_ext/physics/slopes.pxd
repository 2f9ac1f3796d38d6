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


cdef struct PixelVector:
    # A pixel beside the beam centre, in the laboratory, and where its beam crosses the plane, still distorted
    double along           # the beam centre's in-plane vector to the pixel, µm
    double up
    double x               # turned by the tilts
    double y
    double z
    double q2              # y² + z²
    double depth           # Lsd + x
    double radius
    double by_radius       # slopes of the undistorted radius by the distorted one and by the azimuth 90 - eta (radians)
    double by_azimuth


cdef inline PixelVector pixel_vector(const SlopedDetector* s, double y_px, double z_px) noexcept nogil:
    """All that is known without the distortion."""
    cdef PixelVector v
    v.along = -(y_px - s.d.y_bc) * s.d.px
    v.up = (z_px - s.d.z_bc) * s.d.px
    v.x = s.d.tilt[1] * v.along + s.d.tilt[2] * v.up
    v.y = s.d.tilt[4] * v.along + s.d.tilt[5] * v.up
    v.z = s.d.tilt[7] * v.along + s.d.tilt[8] * v.up
    v.q2 = v.y * v.y + v.z * v.z
    v.depth = s.d.lsd + v.x
    v.radius = s.d.lsd * sqrt(v.q2) / v.depth
    v.by_radius = 1.0
    v.by_azimuth = 0.0
    return v


cdef inline void distortion_slopes(const SlopedDetector* s, PixelVector* v, PlaneSlopes* p) noexcept nogil:
    """The distortion: place of the pixel, slopes by the coefficients, and what the others need."""
    cdef double q = sqrt(v.q2)
    cdef double rho2 = (v.radius / s.d.rho_d) * (v.radius / s.d.rho_d)
    cdef double cos2, sin2, cos4, sin4, two, four, factor
    p.unit_y = v.y / q
    p.unit_z = v.z / q
    cos2 = p.unit_y * p.unit_y - p.unit_z * p.unit_z
    sin2 = -2.0 * p.unit_y * p.unit_z
    cos4 = cos2 * cos2 - sin2 * sin2
    sin4 = 2.0 * sin2 * cos2
    two = rho2 * (s.d.p0 * cos2 + s.d.p2)
    four = rho2 * rho2 * (s.p1c * cos4 - s.p1s * sin4)
    factor = 1.0 + two + four
    v.by_radius = factor + 2.0 * two + 4.0 * four
    v.by_azimuth = -v.radius * rho2 * (2.0 * s.d.p0 * sin2 + 4.0 * rho2 * (s.p1c * sin4 + s.p1s * cos4))
    p.radius = v.radius * factor
    p.radial[<int>BY_P0] = v.radius * rho2 * cos2
    p.radial[<int>BY_P1C] = v.radius * rho2 * rho2 * cos4
    p.radial[<int>BY_P1S] = -v.radius * rho2 * rho2 * sin4
    p.radial[<int>BY_P2] = v.radius * rho2
    p.tangential[<int>BY_P0] = p.tangential[<int>BY_P1C] = p.tangential[<int>BY_P1S] = p.tangential[<int>BY_P2] = 0.0


cdef inline void slope_by_move(const PixelVector* v, double x, double y, double z, int number,
                               PlaneSlopes* p) noexcept nogil:
    """Of a number that moves the pixel by (x, y, z)."""
    cdef double azimuth = (v.z * y - v.y * z) / v.q2
    p.radial[number] = v.by_radius * v.radius * ((v.y * y + v.z * z) / v.q2 - x / v.depth) + v.by_azimuth * azimuth
    p.tangential[number] = p.radius * azimuth


cdef inline void plane_slopes(const SlopedDetector* s, double y_px, double z_px, PlaneSlopes* p) noexcept nogil:
    """Place of a pixel on the plane and its slopes; all slopes are 0 at the beam centre."""
    cdef PixelVector v = pixel_vector(s, y_px, z_px)
    cdef const double* turn
    cdef double px
    cdef int i
    if v.q2 == 0.0:
        p.radius = p.unit_y = p.unit_z = 0.0
        for i in range(ALL_SLOPES):
            p.radial[i] = p.tangential[i] = 0.0
        return
    distortion_slopes(s, &v, p)
    p.radial[<int>BY_LSD] = v.by_radius * v.radius * v.x / (s.d.lsd * v.depth)
    p.tangential[<int>BY_LSD] = 0.0
    for i in range(2):
        px = s.d.px if i == 0 else -s.d.px
        slope_by_move(&v, px * s.d.tilt[1 + i], px * s.d.tilt[4 + i], px * s.d.tilt[7 + i], BY_Y_BC + i, p)
        p.radial[BY_Y_PX + i] = -p.radial[BY_Y_BC + i]
        p.tangential[BY_Y_PX + i] = -p.tangential[BY_Y_BC + i]
    for i in range(3):
        turn = &s.by_angle[i][0]
        slope_by_move(&v, turn[0] * v.along + turn[1] * v.up, turn[2] * v.along + turn[3] * v.up,
                      turn[4] * v.along + turn[5] * v.up, BY_TX + i, p)


cdef inline double slope_of_y(const PlaneSlopes* p, int number) noexcept nogil:
    """Of y_plane, µm."""
    return p.unit_y * p.radial[number] + p.unit_z * p.tangential[number]


cdef inline double slope_of_z(const PlaneSlopes* p, int number) noexcept nogil:
    """Of z_plane, µm."""
    return p.unit_z * p.radial[number] - p.unit_y * p.tangential[number]
