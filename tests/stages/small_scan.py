"""Scans of a few small frames for the peak search, and what must be found in them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from midas.archive import DARK, DATA, FLOOD, MASK, Archive, ArchiveWriter
from midas.formats.hkls import LAYOUT as HKLS
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import SCAN, Parameters
from midas.runtime.result import StageResult
from midas.stages import peaks

BASE = """
Lsd 1000000
BC 32.0 30.5
px 200
RhoD 20000
Width 1000
RingThresh 1 20
OmegaStart -90
OmegaStep 0.5
ResultFolder .
"""
#: radius of rings 1, 2, 3 in px
RADII = {1: 20.0, 2: 27.0, 3: 12.0}


def hkls_of(radii: dict[int, float], px: float = 200.0) -> Table:
    columns = {name: np.zeros(len(radii)) for name in HKLS.names}
    return Table.from_columns(
        HKLS.names, {**columns, "ring": list(radii), "ring_radius": [r * px for r in radii.values()]}
    )


class Scan:
    """A small archive and its layer folder."""

    def __init__(self, folder: Path, frames: np.ndarray, text: str = "", name: str = "scan.MIDAS.zip", **stacks: Any):
        self.parameters = Parameters.parse(BASE + text, folder / "ps.txt")
        self.layer = Layer(folder, folder / name)
        folder.mkdir(exist_ok=True)
        with ArchiveWriter(self.layer.archive, frames.shape, frames.dtype, threads=1) as writer:
            writer.add_frames(DATA, frames.shape, list(frames))
            for path, stack in stacks.items():
                path = {"dark": DARK, "flood": FLOOD, "mask": MASK, "omegas": f"{SCAN}omegaCenter"}[path]
                if path == DARK:
                    writer.add_frames(path, stack.shape, list(stack))
                else:
                    writer.add_dataset(path, stack)
            writer.add_parameters(self.parameters)

    def run(self, threads: int = 1, **options: Any) -> StageResult:
        with Archive(self.layer.archive) as archive:
            parameters = archive.parameters
        options.setdefault("hkls", hkls_of(RADII))
        return peaks.run(self.layer, parameters, threads=threads, **options)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.layer.temp.iterdir())}


def spots(shape: tuple[int, int, int] = (3, 64, 64), seed: int = 1, dtype: str = "u2", count: int = 14) -> np.ndarray:
    """Frames with Gaussian spots anywhere, and some noise below the threshold."""
    generator = np.random.default_rng(seed)
    frames = generator.integers(0, 8, shape).astype(float)
    z, y = np.mgrid[: shape[1], : shape[2]]
    for frame in frames:
        for _ in range(count):
            z0, y0 = generator.uniform(0, shape[1]), generator.uniform(0, shape[2])
            frame += generator.uniform(100, 900) * np.exp(-0.5 * ((z - z0) ** 2 + (y - y0) ** 2) / 1.1)
    return np.minimum(np.rint(frames), np.iinfo(dtype).max if dtype[0] in "ui" else np.inf).astype(dtype)


def expected_regions(image: np.ndarray) -> list[frozenset[tuple[int, int]]]:
    """Pixel sets of the regions of more than one pixel of an image indexed [y, z]."""
    labels, count = ndimage.label(image, np.ones((3, 3)))
    sets = [frozenset(zip(*map(np.ndarray.tolist, np.nonzero(labels == n + 1)), strict=True)) for n in range(count)]
    return sorted((s for s in sets if len(s) > 1), key=sorted)


def found_regions(result: StageResult, frame: int) -> list[frozenset[tuple[int, int]]]:
    lists = result.data[frame][1]
    pixels = list(zip(lists.y.tolist(), lists.z.tolist(), strict=True))
    return sorted({frozenset(pixels[a:b]) for a, b in itertools.pairwise(lists.offsets.tolist())}, key=sorted)


def turned(image: np.ndarray, operations: Iterable[int]) -> np.ndarray:
    """A raw image as [y, z]: padded to a square, then the operations in order.

    See docs/theory/peaks.md#image-transformations.
    """
    size = max(image.shape)
    square = np.zeros((size, size))
    square[: image.shape[0], : image.shape[1]] = image
    for operation in operations:
        square = {1: np.fliplr, 2: np.flipud, 3: np.transpose}.get(operation, np.array)(square)
    return square.T


def band(size: int, radii: Iterable[float] = (20.0,), threshold: float = 20.0, width: float = 5.0) -> np.ndarray:
    """Thresholds of flat, undistorted rings about the beam centre of `BASE`."""
    y, z = np.meshgrid(np.arange(size), np.arange(size), indexing="ij")
    radius = np.hypot(y - 32.0, z - 30.5)
    return threshold * np.any([np.abs(radius - r) < width for r in radii], axis=0)


def selected(image: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    return np.where((thresholds > 0) & (image >= thresholds), image, 0)
