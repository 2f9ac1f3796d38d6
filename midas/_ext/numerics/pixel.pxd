"""The types that a detector's pixels come in."""
cimport numpy as cnp


ctypedef fused pixel_t:
    cnp.uint8_t
    cnp.uint16_t
    cnp.uint32_t
    cnp.int8_t
    cnp.int16_t
    cnp.int32_t
    cnp.float32_t
    cnp.float64_t
