"""What the search leaves of a start spot (docs/theory/indexing.md#results)."""
import numpy as np

from libc.string cimport memcpy

cdef IndexedSeed _seed
#: the struct of the header as a numpy type
INDEXED_SEED = np.asarray(<IndexedSeed[:1]>&_seed).dtype


cdef void write_seed(const BestCandidate* best, IndexedSeed* seed) noexcept nogil:
    """The candidate that is kept, without its completeness."""
    seed.internal_angle = best.angle
    memcpy(seed.orientation, best.orientation, sizeof(seed.orientation))
    memcpy(seed.position, best.position, sizeof(seed.position))
    seed.expected = best.expected
    seed.matched = best.matched
