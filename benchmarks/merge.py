"""Timing of peak merging and radius estimation: 40 frames of 2,200 peaks, two thirds of which continue a spot.

The legacy programs take 1.2-1.6 s of CPU for a set of this size to merge it, and 1.1-1.8 s for the radii of any set.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from calibration import calibrate, cpu_seconds, report, wall_seconds

from midas.archive import ArchiveWriter
from midas.formats import hkls as hkl_format
from midas.formats.layer import Layer
from midas.formats.peaks import LAYOUT, PixelLists, write_pixels
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages import merge, radius

SIZE = 2048


def make_frames(frames: int, count: int) -> list[tuple[Table, PixelLists]]:
    """Frames of peaks with 5×5 pixels each."""
    rng = np.random.default_rng(0)
    block = np.stack(np.meshgrid(np.arange(-2, 3), np.arange(-2, 3), indexing="ij"), -1).reshape(-1, 2)
    scan = []
    centres = rng.uniform(3, SIZE - 4, (count, 2))
    for frame in range(frames):
        kept = rng.random(count) < 2 / 3
        moved = np.clip(centres + rng.normal(0, 0.2, (count, 2)), 3, SIZE - 4)
        centres = np.where(kept[:, None], moved, rng.uniform(3, SIZE - 4, (count, 2)))
        y, z = centres.T
        columns = {name: rng.uniform(1, 1000, count) for name in LAYOUT.names}
        columns |= {
            "peak_id": np.arange(1, count + 1),
            "omega_recorded": np.full(count, 0.25 * frame),
            "y_recorded": y,
            "z_recorded": z,
        }
        columns |= {"radius": np.hypot(y - SIZE / 2, z - SIZE / 2)}
        columns |= {"eta": np.degrees(np.arctan2(y - SIZE / 2, z - SIZE / 2))}
        pixels = (np.round(centres)[:, None].astype(np.int16) + block.astype(np.int16)).reshape(-1, 2)
        offsets = np.arange(count + 1, dtype=np.int64) * len(block)
        lists = PixelLists(SIZE, offsets, pixels[:, 0].copy(), pixels[:, 1].copy())
        scan.append((LAYOUT.rounded(Table.from_columns(LAYOUT.names, columns)), lists))
    return scan


def make_layer(folder: Path, scan: list[tuple[Table, PixelLists]]) -> Layer:
    path = folder / "scan.MIDAS.zip"
    with ArchiveWriter(path, (len(scan), SIZE, SIZE), np.uint16) as writer:
        writer.add_frames("exchange/data", writer.shape, [np.zeros((SIZE, SIZE), np.uint16)] * len(scan))
    layer = Layer(folder, path)
    layer.temp.mkdir()
    for number, (table, pixels) in enumerate(scan, 1):
        LAYOUT.write(layer.peaks(number), table)
        write_pixels(layer.peak_pixels(number), pixels)
    columns = {name: np.zeros(5) for name in hkl_format.LAYOUT.names}
    columns |= {"ring": np.arange(1, 6), "ring_radius": np.arange(1, 6) * 30000.0}
    hkl_format.LAYOUT.write(layer.hkls, Table.from_columns(hkl_format.LAYOUT.names, columns))
    return layer


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--frames", type=int, default=40)
    options.add_argument("--peaks", type=int, default=2200)
    options.add_argument("--threads", type=int, default=1)
    values = options.parse_args()
    text = "px 200\nLsd 1000000\nBC 1024 1024\nRhoD 200000\nOmegaStep 0.25\nVsample 1e7\nWidth 5000\n"
    distance = Parameters.parse(text + "".join(f"RingThresh {ring} 1\n" for ring in range(1, 6)))
    overlap = distance.changed(UsePixelOverlap=1)
    calibration = calibrate()
    scan = make_frames(values.frames, values.peaks)
    with tempfile.TemporaryDirectory() as folder:
        layer = make_layer(Path(folder), scan)
        for name, parameters, peaks in [
            ("by distance, tables from files", distance, None),
            ("by distance, tables in memory", distance, scan),
            ("by pixels, tables from files", overlap, None),
            ("by pixels, tables in memory", overlap, scan),
        ]:

            def work(parameters: Parameters = parameters, peaks: object = peaks) -> None:
                merge.run(layer, parameters, threads=values.threads, peaks=peaks)

            report(f"merging {name}, CPU", cpu_seconds(work), "s", calibration)
            report(f"merging {name}, wall", wall_seconds(work), "s", calibration)
        report(
            "radius, CPU", cpu_seconds(lambda: radius.run(layer, distance, threads=values.threads)), "s", calibration
        )


if __name__ == "__main__":
    main()
