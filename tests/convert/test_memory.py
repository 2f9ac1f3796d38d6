"""No reader holds the frames of a scan: the memory of a conversion is that of a few frames, however many there are."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from .raw_files import BASE, cbf, edf, ge, tiff

SIDE = 96
SIZES = f"{BASE}\nNrPixelsY {SIDE}\nNrPixelsZ {SIDE}\n"


def series(folder: Path, frames: np.ndarray) -> Path:
    for i, frame in enumerate(frames):
        cbf(folder / f"scan_{i}.cbf", frame)
    return folder / "scan_*.cbf"


WRITERS: dict[str, Callable[[Path, np.ndarray], Path]] = {
    "GE": lambda folder, frames: ge(folder / "scan.ge3", frames),
    "GE.gz": lambda folder, frames: ge(folder / "scan.ge3.gz", frames),
    "TIFF": lambda folder, frames: tiff(folder / "scan.tif", frames),
    "TIFF, Deflate": lambda folder, frames: tiff(folder / "deflate.tif", frames, compression="zlib"),
    "EDF": lambda folder, frames: edf(folder / "scan.edf", frames),
    "CBF": series,
}


@pytest.mark.parametrize("name", WRITERS)
def test_memory_does_not_grow_with_the_scan(convert, tmp_path: Path, name: str) -> None:
    def peak(count: int) -> int:
        frames = np.broadcast_to(np.arange(count, dtype="i4")[:, None, None], (count, SIDE, SIDE))
        data = str(WRITERS[name](tmp_path, np.ascontiguousarray(frames)))
        del frames
        text = f"{SIZES}RawPixelType i4"
        convert(text, data_file=data).close()  # what is imported and kept does not count
        tracemalloc.start()
        convert(text, data_file=data).close()
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest

    frame = SIDE * SIDE * 4
    assert peak(90) - peak(15) < 75 * frame / 4  # the directory of the archive grows, and the list of headers
