"""Profile of a powder ring across a pixel (docs/theory/calibration.md#points-on-rings)."""
from libc.math cimport fabs, fmax

from midas._ext.numerics.elementary cimport exp

cdef enum:
    POINTS = 4             # Gauss points across a pixel, each way
    NODES = 80             # of the table of a profile

cdef extern from *:
    """
    /* nodes per full width at half maximum, or per half a pixel where the ring is narrower */
    #define MIDAS_NODES_PER_WIDTH 12.0
    #define MIDAS_FOUR_LOG_2 2.772588722239781
    static const double midas_offset[4] = {
        -0.43056815579702629, -0.16999052179242813, 0.16999052179242813, 0.43056815579702629};
    static const double midas_weight[4] = {
        0.17392742256872693, 0.32607257743127307, 0.32607257743127307, 0.17392742256872693};
    """
    const double NODES_PER_WIDTH "MIDAS_NODES_PER_WIDTH"
    const double FOUR_LOG_2 "MIDAS_FOUR_LOG_2"
    const double OFFSETS "midas_offset" [4]
    const double WEIGHTS "midas_weight" [4]


cdef struct RingProfile:
    double fwhm            # px
    double mixing          # part of the Lorentzian
    double spacing         # of the table, px
    double[NODES] value    # mean over a pixel, and its slope
    double[NODES] slope


cdef inline void pseudo_voigt(double x, double fwhm, double mixing, double* value, double* slope) noexcept nogil:
    """Of height 1."""
    cdef double u = x / fwhm
    cdef double u2 = u * u
    cdef double lorentz = mixing / (1.0 + 4.0 * u2), gauss = (1.0 - mixing) * exp(-FOUR_LOG_2 * u2)
    value[0] = lorentz + gauss
    slope[0] = -2.0 * u / fwhm * (4.0 * lorentz / (1.0 + 4.0 * u2) + FOUR_LOG_2 * gauss)


cdef inline void pixel_mean(double x, double fwhm, double mixing, double g_y, double g_z, double* value,
                            double* slope) noexcept nogil:
    """Mean of the profile over the area of a pixel, in which x grows by g_y and g_z per px."""
    cdef double v = 0.0, s = 0.0, weight
    cdef int i, j
    value[0] = slope[0] = 0.0
    for i in range(POINTS):
        for j in range(POINTS):
            pseudo_voigt(x + g_y * OFFSETS[i] + g_z * OFFSETS[j], fwhm, mixing, &v, &s)
            weight = WEIGHTS[i] * WEIGHTS[j]
            value[0] += weight * v
            slope[0] += weight * s


cdef inline void tabulate(RingProfile* p, double fwhm, double mixing, double g_y, double g_z) noexcept nogil:
    cdef int i
    p.fwhm = fwhm
    p.mixing = mixing
    p.spacing = fmax(fwhm, 0.5) / NODES_PER_WIDTH
    for i in range(NODES):
        pixel_mean(i * p.spacing, fwhm, mixing, g_y, g_z, &p.value[i], &p.slope[i])


cdef inline void profile_at(const RingProfile* p, double x, double* value, double* slope) noexcept nogil:
    """Cubic between the nodes of the table; beyond it a pixel is narrow against the profile."""
    cdef double t = fabs(x) / p.spacing, h = p.spacing, a, b, c, d
    cdef int i
    if not t < NODES - 1:
        pseudo_voigt(x, p.fwhm, p.mixing, value, slope)
        return
    i = <int>t
    t -= i
    a = p.value[i]
    b = p.slope[i] * h
    c = 3.0 * (p.value[i + 1] - a) - 2.0 * b - p.slope[i + 1] * h
    d = 2.0 * (a - p.value[i + 1]) + b + p.slope[i + 1] * h
    value[0] = a + t * (b + t * (c + t * d))
    slope[0] = (b + t * (2.0 * c + 3.0 * t * d)) / h
    if x < 0.0:
        slope[0] = -slope[0]
