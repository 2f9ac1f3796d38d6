"""Panels of a segmented detector: where a pixel really sits (docs/theory/geometry.md#panels).

A panel is eight numbers: first and last pixel in y and in z, cosine and sine of its rotation, shift in y and in z (px).
Pixels in gaps stay where they are.
"""
cdef enum:
    PANEL_NUMBERS = 8


cdef inline bint on_panel(const double* panel, double y, double z) noexcept nogil:
    """Whether the pixel nearest to (y, z) belongs to the panel."""
    return (panel[0] - 0.5 <= y < panel[1] + 0.5) and (panel[2] - 0.5 <= z < panel[3] + 0.5)


cdef inline Py_ssize_t panel_of(const double* panels, Py_ssize_t count, double y, double z) noexcept nogil:
    """Number of the panel that holds the pixel nearest to (y, z); -1 in a gap."""
    cdef Py_ssize_t p
    for p in range(count):
        if on_panel(panels + PANEL_NUMBERS * p, y, z):
            return p
    return -1


cdef inline void shift_on_panel(const double* panel, double* y, double* z) noexcept nogil:
    """Nominal to true pixel position: rotation about the middle of the panel, then the shift."""
    cdef double y_mid = 0.5 * (panel[0] + panel[1]), z_mid = 0.5 * (panel[2] + panel[3])
    cdef double u = y[0] - y_mid, v = z[0] - z_mid
    y[0] = y_mid + u * panel[4] - v * panel[5] + panel[6]
    z[0] = z_mid + u * panel[5] + v * panel[4] + panel[7]


cdef inline void unshift_on_panel(const double* panel, double* y, double* z) noexcept nogil:
    """Inverse of `shift_on_panel`."""
    cdef double y_mid = 0.5 * (panel[0] + panel[1]), z_mid = 0.5 * (panel[2] + panel[3])
    cdef double u = y[0] - panel[6] - y_mid, v = z[0] - panel[7] - z_mid
    y[0] = y_mid + u * panel[4] + v * panel[5]
    z[0] = z_mid - u * panel[5] + v * panel[4]


cdef inline void panel_shift(const double* panels, Py_ssize_t count, double* y, double* z) noexcept nogil:
    """Nominal pixel to the position that the geometry needs."""
    cdef Py_ssize_t p = panel_of(panels, count, y[0], z[0])
    if p >= 0:
        shift_on_panel(panels + PANEL_NUMBERS * p, y, z)


cdef inline void panel_unshift(const double* panels, Py_ssize_t count, double* y, double* z) noexcept nogil:
    """Inverse of `panel_shift`: the nominal pixel that sees a position.

    A position that no panel has moved to lies in a gap, or just beside a panel that was moved away from it; then the
    panel whose nominal area holds it decides, so that the mapping has no jump at a panel's edge.
    """
    cdef Py_ssize_t p
    cdef double u, v
    for p in range(count):
        u = y[0]
        v = z[0]
        unshift_on_panel(panels + PANEL_NUMBERS * p, &u, &v)
        if on_panel(panels + PANEL_NUMBERS * p, u, v):
            y[0] = u
            z[0] = v
            return
    p = panel_of(panels, count, y[0], z[0])
    if p >= 0:
        unshift_on_panel(panels + PANEL_NUMBERS * p, y, z)
