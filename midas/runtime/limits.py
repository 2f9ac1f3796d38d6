"""How much memory a file may ask for: what it says about itself is compared with its size before anything is made.

See docs/inputs.md#limits. A compressed file may hold more than its size, and a frame without any counts takes next to
nothing, so that every file may ask for `ROOM`, which frames of the largest detectors need; a large one for its size.
"""

from __future__ import annotations

#: rows or columns of a frame, which the pixel lists of the peak search count in two bytes
LARGEST_SIDE = 32767
#: frames of a scan
MOST_FRAMES = 10_000_000
#: bytes of one image, chunk or table of a file of any size: 16 million pixels of 8 bytes, and some more
ROOM = 160 << 20


def largest(size: int) -> int:
    """Bytes that one piece of a file of that many bytes may have in memory."""
    return max(ROOM, size)


def too_large(count: int, size: int) -> str:
    """What is wrong with a piece of `count` bytes in a file of `size` bytes; "" if nothing is."""
    if count <= largest(size):
        return ""
    return f"needs {count} bytes of memory, more than the {largest(size)} that a file of {size} bytes may ask for"


def odd_size(shape: tuple[int, ...], itemsize: int, size: int) -> str:
    """What is wrong with frames of that shape (frames, rows, columns) in a file of `size` bytes; "" if nothing is."""
    if len(shape) > 2 and shape[0] > MOST_FRAMES:
        return f"has {shape[0]} frames; at most {MOST_FRAMES} can be read"
    rows, columns = shape[-2:]
    if min(rows, columns) < 0:
        return "has frames of negative size"
    if max(rows, columns) > LARGEST_SIDE:
        return f"has frames of {rows} x {columns} pixels; the largest side is {LARGEST_SIDE}"
    reason = too_large(rows * columns * itemsize, size)
    return f"has frames of {rows} x {columns} pixels, of which each {reason}" if reason else ""
