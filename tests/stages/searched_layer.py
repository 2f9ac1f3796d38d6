"""A layer made by hand as the peak search leaves it: docs/theory/merge.md#worked-example."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from midas.archive import ArchiveWriter
from midas.formats.layer import Layer
from midas.formats.peaks import LAYOUT, PixelLists, write_pixels
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages import merge

Frame = list[dict[str, float]]


def peak(peak_id: int, intensity: float, y: float, z: float, eta: float, **other: float) -> dict[str, float]:
    """A peak whose other columns follow the rules of the worked example."""
    columns = {"i_max": intensity / 10, "radius": 30 + peak_id, "sigma_r": 0.1 * peak_id, "sigma_eta": 0.2 * peak_id}
    columns |= {"pixels": 8 + peak_id, "region_pixels": 9, "raw_sum": 2 * intensity}
    return {"peak_id": peak_id, "intensity": intensity, "y_recorded": y, "z_recorded": z, "eta": eta} | columns | other


def block(y: float, z: float) -> list[tuple[int, int]]:
    """3×3 pixels around a centre."""
    row, column = math.floor(y + 0.5), math.floor(z + 0.5)
    return [(row + i, column + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]


def pixel_lists(regions: list[list[tuple[int, int]]], size: int = 64) -> PixelLists:
    offsets = np.append(0, np.cumsum([len(region) for region in regions])).astype(np.int64)
    flat = np.array([pixel for region in regions for pixel in region], np.int16).reshape(-1, 2)
    return PixelLists(size, offsets, np.ascontiguousarray(flat[:, 0]), np.ascontiguousarray(flat[:, 1]))


def frame_table(peaks: Frame, omega: float) -> Table:
    columns = {name: [p.get(name, 0.0) for p in peaks] for name in LAYOUT.names}
    return LAYOUT.rounded(Table.from_columns(LAYOUT.names, columns | {"omega_recorded": [omega] * len(peaks)}))


def in_memory(frames: list[Frame]) -> merge.Peaks:
    return [
        (
            frame_table(peaks, 10 - 0.25 * i),
            pixel_lists([p.get("region") or block(p["y_recorded"], p["z_recorded"]) for p in peaks]),
        )
        for i, peaks in enumerate(frames)
    ]


def make_archive(folder: Path, frames: int, shape: tuple[int, int] = (64, 64)) -> Path:
    path = folder / "scan.MIDAS.zip"
    with ArchiveWriter(path, (frames, *shape), np.uint16) as writer:
        writer.add_frames("exchange/data", (frames, *shape), [np.zeros(shape, np.uint16)] * frames)
    return path


def write_scan(folder: Path, frames: list[Frame], *, skipped: int = 0, shape: tuple[int, int] = (64, 64)) -> Layer:
    """A layer folder with an archive, the peak tables and the pixel lists."""
    layer = Layer(folder, make_archive(folder, len(frames) + skipped, shape))
    layer.temp.mkdir()
    for number, (table, pixels) in enumerate(in_memory(frames), 1):
        LAYOUT.write(layer.peaks(number), table)
        write_pixels(layer.peak_pixels(number), pixels)
    return layer


def parameters(**values: object) -> Parameters:
    return Parameters.parse("\n".join(f"{key} {value}" for key, value in values.items()), "ps.txt")


def links(result: merge.StageResult) -> list[list[tuple[int, int]]]:
    """(frame, peak) of each spot, as the merge map lists them."""
    spots, constituents = result.data
    found: list[list[tuple[int, int]]] = [[] for _ in range(len(spots))]
    for spot, frame, peak_id in constituents.columns.T.astype(int):
        found[spot - 1].append((int(frame), int(peak_id)))
    return found


EXAMPLE: list[Frame] = [
    [peak(1, 100, 10, 10, 50), peak(2, 200, 11, 10, -20), peak(3, 0.5, 20, 20, 0), peak(4, 50, 40, 40, -100)],
    [peak(1, 300, 10.4, 10, 50), peak(2, 80, 41.9, 40, -100), peak(3, 70, 42, 40, -101)],
    [peak(1, 10, 42.95, 40, -100)],
]
EXAMPLE_RESULT = """
1 200.000000 10.000000 11.000000 10.000000 20.000000 10.000000 10.000000 0.200000 0.400000 10.000000 9.000000 \
32.000000 -20.000000 400.000000
2 130.000000 9.846154 41.169231 40.000000 8.000000 9.750000 10.000000 0.400000 0.800000 22.000000 18.000000 \
32.000000 -100.000000 260.000000
3 400.000000 9.812500 10.300000 10.000000 30.000000 9.750000 10.000000 0.100000 0.200000 18.000000 18.000000 \
31.000000 50.000000 800.000000
4 80.000000 9.718750 42.118750 40.000000 7.000000 9.500000 9.750000 0.300000 0.600000 20.000000 18.000000 \
31.000000 -100.000000 160.000000
"""
