"""Jenkins' hash of bytes, lookup3 (``hashlittle``), which HDF5 takes for the check sum of an object header.

Bob Jenkins, "lookup3.c", May 2006, public domain; "HDF5 File Format Specification Version 3.0", IV.A.1.b.
"""
from cython.parallel cimport prange
from libc.stdint cimport uint8_t, uint32_t


cdef inline uint32_t rotated(uint32_t x, int count) noexcept nogil:
    """`x` with its bits turned to the left."""
    return (x << count) | (x >> (32 - count))


cdef inline uint32_t word(const uint8_t* bytes) noexcept nogil:
    """Four bytes as a number, little-endian, wherever they stand."""
    return bytes[0] | (<uint32_t>bytes[1] << 8) | (<uint32_t>bytes[2] << 16) | (<uint32_t>bytes[3] << 24)


cdef uint32_t hashed(const uint8_t* bytes, long long length, uint32_t start) noexcept nogil:
    """The hash of `length` bytes."""
    cdef uint32_t a = <uint32_t>0xdeadbeef + <uint32_t>length + start
    cdef uint32_t b = a, c = a
    cdef uint8_t[12] last
    cdef int i
    while length > 12:
        a += word(bytes)
        b += word(bytes + 4)
        c += word(bytes + 8)
        a = (a - c) ^ rotated(c, 4)
        c += b
        b = (b - a) ^ rotated(a, 6)
        a += c
        c = (c - b) ^ rotated(b, 8)
        b += a
        a = (a - c) ^ rotated(c, 16)
        c += b
        b = (b - a) ^ rotated(a, 19)
        a += c
        c = (c - b) ^ rotated(b, 4)
        b += a
        bytes += 12
        length -= 12
    if length == 0:
        return c
    for i in range(12):
        last[i] = bytes[i] if i < length else 0
    a += word(last)
    b += word(last + 4)
    c += word(last + 8)
    c = (c ^ b) - rotated(b, 14)
    a = (a ^ c) - rotated(c, 11)
    b = (b ^ a) - rotated(a, 25)
    c = (c ^ b) - rotated(b, 16)
    a = (a ^ c) - rotated(c, 4)
    b = (b ^ a) - rotated(a, 14)
    c = (c ^ b) - rotated(b, 24)
    return c


def lookup3(bytes content, uint32_t start=0):
    """The hash of some bytes; `start` is what Jenkins calls initval."""
    return hashed(<const uint8_t*>content, len(content), start)


def seal(unsigned char[::1] buffer, const long long[::1] starts, const long long[::1] ends, int threads=1):
    """Write the hash of each stretch of the buffer behind it.

    Parameters
    ----------
    buffer : uint8, changed in place
    starts, ends : (n,) int64; the hash of the bytes from a start to its end goes into the four bytes at the end, which
        no other stretch holds
    threads : that share the stretches

    Raises
    ------
    ValueError : a stretch that does not lie in the buffer
    """
    cdef long long row, i, count = starts.shape[0], size = buffer.shape[0]
    cdef uint32_t found
    if ends.shape[0] != count:
        raise ValueError("an end for every start")
    for row in range(count):
        if not 0 <= starts[row] <= ends[row] <= size - 4:
            raise ValueError("a stretch beyond the buffer")
    for row in prange(count, nogil=True, num_threads=threads, schedule="static"):
        found = hashed(&buffer[starts[row]], ends[row] - starts[row], 0)
        for i in range(4):
            buffer[ends[row] + i] = <uint8_t>((found >> (8 * i)) & 255)
