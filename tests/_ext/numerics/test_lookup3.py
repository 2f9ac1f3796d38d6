"""Jenkins' hash: the values that he publishes, any length, many stretches of one buffer."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from midas._ext.numerics.lookup3 import lookup3, seal


@pytest.mark.parametrize(
    ("content", "start", "expected"),
    [
        (b"", 0, 0xDEADBEEF),
        (b"", 0xDEADBEEF, 0xBD5B7DDE),
        (b"Four score and seven years ago", 0, 0x17770551),
        (b"Four score and seven years ago", 1, 0xCD628161),
    ],
)
def test_published_values(content: bytes, start: int, expected: int) -> None:
    assert lookup3(content, start) == expected


@pytest.mark.parametrize("entries", [0, 1, 2, 3, 5, 7])
def test_headers_of_the_library(entries: int) -> None:
    """It ends each object header of version 2 with the hash of what comes before: here those of datasets with names."""
    with h5py.File("x", "w", driver="core", backing_store=False, libver="latest") as file:
        for i in range(entries):
            file.attrs["a" * (i + 1)] = "b" * i
        file["numbers"] = np.arange(entries)
        file.flush()
        image = file.id.get_file_image()
    found = 0
    at = image.find(b"OHDR\x02")
    while at >= 0:
        flags = image[at + 5]
        width = 1 << (flags & 3)
        begin = at + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        end = begin + width + int.from_bytes(image[begin : begin + width], "little")
        assert lookup3(image[at:end]) == int.from_bytes(image[end : end + 4], "little")
        found, at = found + 1, image.find(b"OHDR\x02", end)
    assert found == 2


@pytest.mark.parametrize("threads", [1, 2])
def test_every_stretch_is_sealed(threads: int) -> None:
    rng = np.random.default_rng(0)
    buffer = rng.integers(0, 256, 3000, np.uint8)
    before = buffer.copy()
    lengths = np.arange(40)
    starts = np.cumsum(lengths + 7) - lengths - 4
    seal(buffer, starts, starts + lengths, threads)
    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        end = start + length
        assert buffer[end : end + 4].tobytes() == lookup3(before[start:end].tobytes()).to_bytes(4, "little")
        buffer[end : end + 4] = before[end : end + 4]
    np.testing.assert_array_equal(buffer, before)


@pytest.mark.parametrize(("starts", "ends"), [([0], [7]), ([-1], [4]), ([3], [2]), ([0, 0], [1])])
def test_stretches_beyond_the_buffer(starts: list[int], ends: list[int]) -> None:
    with pytest.raises(ValueError, match="stretch beyond the buffer|an end for every start"):
        seal(np.zeros(10, np.uint8), np.array(starts), np.array(ends))
