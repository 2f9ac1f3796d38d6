"""What is known of a peak in the end; see result.pyx."""
from midas._ext.peaks.problem cimport PeakFit, PeakProblem, PeakRegion


cdef enum:
    _SATURATED = 8          # return code of a peak with a pixel at the end of the scale


cdef struct FittedPeak:
    double intensity
    double y_recorded     # px
    double z_recorded
    double i_max
    double radius
    double eta
    double sigma_r
    double sigma_eta
    double pixels
    double region_pixels
    double region_peaks
    double max_y
    double max_z
    double diff_y
    double diff_z
    double raw_i_max
    double return_code
    double residual
    double background
    double sigma_gauss_r
    double sigma_lorentz_r
    double sigma_gauss_eta
    double sigma_lorentz_eta
    double mixing
    double raw_sum


cdef void describe_fit(const PeakProblem* p, Py_ssize_t r, const PeakFit* fit, FittedPeak* rows) noexcept nogil
cdef void describe_centroid(const PeakProblem* p, Py_ssize_t r, const PeakRegion* region,
                            FittedPeak* row) noexcept nogil
