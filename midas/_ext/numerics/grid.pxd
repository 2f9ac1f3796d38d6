"""A frame's peaks in the cells of a grid, to find those near a point (docs/theory/merge.md#neighbour-grid)."""
from libc.math cimport floor, fmax, fmin, isfinite, sqrt


cdef struct Grid:
    double y0              # corner of the frame's peaks, px
    double z0
    double y_scale         # cells per px; a cell is wider than the largest distance
    double z_scale
    int rows               # cells along y
    int columns            # cells along z
    int* starts            # (rows * columns + 1,) where the peaks of each cell begin in `peaks`
    int* peaks             # the frame's peaks, cell after cell, ascending within a cell


cdef inline int _cell(double offset, double scale, int count) noexcept nogil:
    cdef double cell = floor(offset * scale)
    if not cell > 0.0:
        return 0
    return <int>cell if cell < count else count - 1


cdef inline Py_ssize_t _cell_of(const Grid* grid, double y, double z) noexcept nogil:
    return (<Py_ssize_t>_cell(y - grid.y0, grid.y_scale, grid.rows) * grid.columns
            + _cell(z - grid.z0, grid.z_scale, grid.columns))


cdef inline int _divide(double extent, double width, int most, double* scale) noexcept nogil:
    """Number of cells on `extent`, each wider than `width`, at most `most`."""
    cdef int count
    scale[0] = 0.0
    if not (extent > 0.0 and isfinite(extent)):
        return 1
    width = 1.000001 * fmax(width, 0.0)
    count = most if width * most <= extent else <int>fmax(floor(extent / width), 1.0)
    scale[0] = count / extent
    return count


cdef inline void build_grid(Grid* grid, const double* y, const double* z, Py_ssize_t n, double width) noexcept nogil:
    """Sort the n peaks of a frame into cells; `starts` has room for floor(sqrt(n)) + 1 squared + 1."""
    cdef double y1, z1
    cdef int most = <int>sqrt(<double>n) + 1
    cdef Py_ssize_t i, cell, cells
    grid.y0 = y1 = y[0] if n else 0.0
    grid.z0 = z1 = z[0] if n else 0.0
    for i in range(n):
        grid.y0 = fmin(grid.y0, y[i])
        grid.z0 = fmin(grid.z0, z[i])
        y1 = fmax(y1, y[i])
        z1 = fmax(z1, z[i])
    grid.rows = _divide(y1 - grid.y0, width, most, &grid.y_scale)
    grid.columns = _divide(z1 - grid.z0, width, most, &grid.z_scale)
    cells = <Py_ssize_t>grid.rows * grid.columns
    for cell in range(cells + 1):
        grid.starts[cell] = 0
    for i in range(n):
        grid.starts[_cell_of(grid, y[i], z[i])] += 1
    for cell in range(1, cells + 1):
        grid.starts[cell] += grid.starts[cell - 1]
    # Each start is now the end of its cell; filling from the back turns it into the beginning.
    for i in range(n - 1, -1, -1):
        cell = _cell_of(grid, y[i], z[i])
        grid.starts[cell] -= 1
        grid.peaks[grid.starts[cell]] = <int>i


cdef inline long long neighbours(const Grid* grid, const double* y, const double* z, double at_y, double at_z,
                                 double limit, int* peer, double* distance) noexcept nogil:
    """Peaks of a grid closer than `limit` to a point; how many. They are stored unless `peer` is NULL."""
    cdef int row = _cell(at_y - grid.y0, grid.y_scale, grid.rows)
    cdef int column = _cell(at_z - grid.z0, grid.z_scale, grid.columns)
    cdef int low = max(column - 1, 0), high = min(column + 1, grid.columns - 1)
    cdef int r, i, j
    cdef long long count = 0
    cdef double dy, dz, d
    for r in range(max(row - 1, 0), min(row + 2, grid.rows)):
        for i in range(grid.starts[r * grid.columns + low], grid.starts[r * grid.columns + high + 1]):
            j = grid.peaks[i]
            dy = y[j] - at_y
            dz = z[j] - at_z
            # The rounded root, not the square: it decides ties.
            d = sqrt(dy * dy + dz * dz)
            if d < limit:
                if peer != NULL:
                    peer[count] = j
                    distance[count] = d
                count += 1
    return count
