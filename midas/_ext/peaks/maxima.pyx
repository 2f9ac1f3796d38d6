"""Local maxima of a region (docs/theory/peaks.md#local-maxima)."""
from libc.math cimport INFINITY
from libc.stdint cimport int64_t
from libc.stdlib cimport qsort

from midas._ext.peaks.hits cimport neighbour_of

cdef enum:
    VISITED = 2


cdef int falling(const void* left, const void* right) noexcept nogil:
    """The order of maxima: the largest first, of equal ones the earlier."""
    cdef const Maximum* a = <const Maximum*>left
    cdef const Maximum* b = <const Maximum*>right
    if a.value != b.value:
        return -1 if a.value > b.value else 1
    return -1 if a.item < b.item else 1


cdef Py_ssize_t strongest(Maximum* maxima, Py_ssize_t count, Py_ssize_t most) noexcept nogil:
    """Keep at most so many, the largest in falling order if there are more; how many."""
    if count <= most:
        return count
    qsort(maxima, count, sizeof(Maximum), falling)
    return most


cdef Py_ssize_t every_top(const HitMap* map, const Component* region, Maximum* out, Py_ssize_t* tops) noexcept nogil:
    """The legacy maxima, each pixel of a plateau one; their number.

    `tops` is about how many plateaus they are: one or a few for each.
    """
    cdef Py_ssize_t i, count = 0
    cdef int step
    cdef bint first
    cdef int32_t neighbour
    cdef const Hit* hit
    tops[0] = 0
    for i in range(region.count):
        hit = region.hits + region.listed[i]
        first = True
        for step in range(8):
            neighbour = neighbour_of(map, hit.position, step)
            if neighbour < 0:
                continue
            if region.hits[neighbour].value > hit.value:
                break
            if region.hits[neighbour].value == hit.value and neighbour < region.listed[i]:
                first = False
        else:
            tops[0] += first
            out[count].value = hit.value
            out[count].item = <int32_t>i
            count += 1
    return count


cdef inline double _level(const Component* region, int32_t hit) noexcept nogil:
    """The value of a hit; nothing is above a full one, whatever its dark."""
    return INFINITY if region.full != NULL and region.full[hit] else region.hits[hit].value


cdef Py_ssize_t _plateau(const HitMap* map, const Component* region, int32_t seed, bint* is_top) noexcept nogil:
    """Collect the hits that are level with the seed and connected with it; their number."""
    cdef Py_ssize_t height = 1, count = 0
    cdef double level = _level(region, seed), beside
    cdef int32_t hit, neighbour
    cdef int step
    is_top[0] = True
    region.stack[0] = seed
    region.visited[seed] = VISITED
    while height > 0:
        height -= 1
        hit = region.stack[height]
        region.members[count] = hit
        count += 1
        for step in range(8):
            neighbour = neighbour_of(map, region.hits[hit].position, step)
            if neighbour < 0:
                continue
            beside = _level(region, neighbour)
            if beside > level:
                is_top[0] = False
            elif beside == level and region.visited[neighbour] != VISITED:
                region.visited[neighbour] = VISITED
                region.stack[height] = neighbour
                height += 1
    return count


cdef int32_t _middle(const HitMap* map, const Component* region, Py_ssize_t count) noexcept nogil:
    """The collected hit that is nearest to their centroid, the first in the frame among equals."""
    cdef int64_t y = 0, z = 0, dy, dz, distance, best = -1
    cdef int32_t hit, found = region.members[0]
    cdef Py_ssize_t i
    for i in range(count):
        y += region.hits[region.members[i]].position // map.size
        z += region.hits[region.members[i]].position % map.size
    for i in range(count):
        hit = region.members[i]
        # All coordinates times the number of hits, so that the comparison is one of whole numbers.
        dy = count * <int64_t>(region.hits[hit].position // map.size) - y
        dz = count * <int64_t>(region.hits[hit].position % map.size) - z
        distance = dy * dy + dz * dz
        if best < 0 or distance < best or (distance == best and hit < found):
            best = distance
            found = hit
    return found


cdef Py_ssize_t plateau_tops(const HitMap* map, const Component* region, Maximum* out) noexcept nogil:
    """The maxima, equal neighbours as one at the pixel nearest to their centroid; their number.

    In the order in which the list first meets a pixel of theirs without a larger neighbour. Full pixels are level with
    each other.
    """
    cdef Py_ssize_t i, count = 0, size, items = 0
    cdef int32_t hit, neighbour
    cdef double level, beside
    cdef bint is_top, is_alone
    cdef int step
    for i in range(region.count):
        hit = region.listed[i]
        if region.visited[hit] == VISITED:
            continue
        level = _level(region, hit)
        is_top = is_alone = True
        for step in range(8):
            neighbour = neighbour_of(map, region.hits[hit].position, step)
            if neighbour < 0:
                continue
            beside = _level(region, neighbour)
            if beside > level:
                is_top = False
                break
            is_alone = is_alone and beside != level
        size = 1
        if is_top and not is_alone:
            size = _plateau(map, region, hit, &is_top)
        if not is_top:
            continue
        out[count].item = <int32_t>i
        if size > 1:
            # The place of the middle in the list is found below.
            hit = _middle(map, region, size)
            out[count].item = -1 - hit
            items += 1
        out[count].value = region.hits[hit].value
        count += 1
    if items:
        _find_places(region, out, count)
    return count


cdef void _find_places(const Component* region, Maximum* maxima, Py_ssize_t count) noexcept nogil:
    """Replace hits, which stand as -1 - number, by their places in the list."""
    cdef Py_ssize_t i
    for i in range(region.count):
        region.stack[region.listed[i]] = <int32_t>i
    for i in range(count):
        if maxima[i].item < 0:
            maxima[i].item = region.stack[-1 - maxima[i].item]
