"""Timing of the conversion: 40 frames of 2048 x 2048 pixels with Poisson noise, from HDF5 stored in different ways.

What counts is the frames per CPU second, and how much faster two threads are than one: chunks are decoded where the
frames are compressed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from calibration import calibrate, report

from midas.convert import conversion
from midas.convert.options import ConversionOptions

PARAMETERS = "OmegaStart 0\nOmegaStep 1\nRingThresh 1 80\n"


def layouts(side: int) -> dict[str, dict[str, Any]]:
    """How the frames are stored."""
    frame = {"chunks": (1, side, side)}
    return {
        "contiguous": {},
        "chunks": frame,
        "gzip": {**frame, "compression": "gzip"},
        "gzip and shuffle": {**frame, "compression": "gzip", "shuffle": True},
        "bitshuffle-lz4": {**frame, **hdf5plugin.Bitshuffle()},
        "gzip, chunks of 5 frames": {"chunks": (5, side, side), "compression": "gzip"},
        "gzip, chunks as h5py likes them": {"compression": "gzip"},
    }


def frames_of(count: int, side: int) -> np.ndarray:
    """Background with a few bright spots."""
    rng = np.random.default_rng(0)
    frames = rng.poisson(3, (count, side, side)).astype("<u2")
    for frame in frames:
        for row, column in rng.integers(0, side - 8, (200, 2)):
            frame[row : row + 6, column : column + 6] += rng.integers(100, 5000, dtype="u2")
    return frames


def converted(folder: Path, threads: int, repeats: int) -> tuple[float, float]:
    """Smallest wall and CPU time of some conversions."""
    options = ConversionOptions(folder / "ps.txt", folder / "out", str(folder / "scan.h5"))
    wall = cpu = float("inf")
    for _ in range(repeats):
        start = time.perf_counter(), time.process_time()
        conversion.run(options, threads=threads)
        wall = min(wall, time.perf_counter() - start[0])
        cpu = min(cpu, time.process_time() - start[1])
    return wall, cpu


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=40)
    options.add_argument("--side", type=int, default=2048)
    options.add_argument("--repeats", type=int, default=3)
    values = options.parse_args()
    calibration = calibrate()
    frames = frames_of(values.frames, values.side)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "ps.txt").write_text(PARAMETERS)
        for layout, settings in layouts(values.side).items():
            with h5py.File(folder / "scan.h5", "w") as file:
                file.create_dataset("exchange/data", data=frames, **settings)
            wall, cpu = converted(folder, 1, values.repeats)
            both, _ = converted(folder, 2, values.repeats)
            report(f"{layout}, CPU per frame", cpu / len(frames), "s", calibration)
            print(f"{layout + ', frames per CPU second':<48} {len(frames) / cpu:12.6g}")
            limit = "required: 1.8" if layout == "gzip" else ""
            print(f"{layout + ', two threads':<48} {wall / both:12.6g} times as fast as one  {limit}")


if __name__ == "__main__":
    main()
