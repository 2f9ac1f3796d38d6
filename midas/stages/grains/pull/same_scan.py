"""Whether the frames are those that the spots of a layer were found on (docs/theory/measured_spots.md#same-scan)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.experiment.angles import wrapped
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.runtime.errors import StageError
from midas.stages.grains.pull.frames import FrameReader

#: spots whose places are looked at: enough to tell most from nearly all, few enough to cost nothing
_SAMPLE = 100
#: of frames that are those of the spots, at least this part of the places holds a peak: all in sharp, saturated and
#: mosaic scans; of another scan, with crowded rings of the same radii, up to 0.57
_LEAST = 0.7
#: a place holds a peak when it is brighter than this part of the equally large blocks around it
_BRIGHTER = 0.85
#: sides of a block, px: of sharp spots, and of those that are larger than the surroundings of a small block
_SIDES = (3, 9)
#: blocks along the side of the surroundings
_BLOCKS = 7


def check_places(layer: Layer, reader: FrameReader, spots: Table, saturation: float) -> None:
    """The peaks of the grains are on the frames, and the frames are as many as were merged.

    Parameters
    ----------
    spots : the peaks of the grains, as of the spot table
    saturation : counts above which a pixel is saturated, which is a peak, however large

    Raises
    ------
    StageError : it is the archive of another scan
    """
    merged = [layer.merged(len(reader)), layer.radius(len(reader))]
    others = sorted([*layer.folder.glob("Result_StartNr_1_EndNr_*.csv"), *layer.folder.glob("Radius_StartNr_1_*.csv")])
    if others and not any(path.exists() for path in merged):
        reason = f"has {len(reader)} frames, which {others[0].name} is not of"
        raise StageError(f"{reason}; it is another scan", file=layer.archive)
    if not len(spots):
        return
    sample = np.unique(np.linspace(0, len(spots) - 1, _SAMPLE).astype(np.int64))
    held = _held(reader, spots.take(sample), saturation)
    if len(held) and np.mean(held) < _LEAST:
        reason = f"has a peak at {np.sum(held)} of {len(held)} places of spots of the grains"
        raise StageError(f"{reason}; it is another scan, or another ImTransOpt", file=layer.archive)


def _held(reader: FrameReader, spots: Table, saturation: float) -> NDArray[np.bool_]:
    """Whether the frames hold a peak at the place of each spot; places without values are left out."""
    distance = abs(wrapped(reader.omegas[None] - spots["omega_recorded"][:, None]))
    frames = distance.argmin(axis=1)
    buffer, held, side = reader.buffer(), [], max(_SIDES) * _BLOCKS
    reach = side // 2
    numbers = np.pad(reader.numbers, reach, constant_values=-1)
    last = -1
    for row in np.argsort(frames, kind="stable"):
        if frames[row] != last:
            last = int(frames[row])
            reader.fill(last, buffer, [])
        y, z = (round(float(spots[name][row])) for name in ("y_recorded", "z_recorded"))
        counts = reader.counts(buffer, numbers[y : y + side, z : z + side].ravel()).reshape(side, side)
        if not np.isnan(counts[reach, reach]):
            held.append(counts[reach, reach] > saturation or any(_stands_out(counts, block) for block in _SIDES))
    return np.array(held, bool)


def _stands_out(counts: NDArray[np.float64], block: int) -> bool:
    """Whether the middle is brighter than most of the blocks of this size around it."""
    reach = (len(counts) - block * _BLOCKS) // 2
    near = counts[reach : len(counts) - reach, reach : len(counts) - reach]
    blocks = near.reshape(_BLOCKS, block, _BLOCKS, block).mean(axis=(1, 3)).ravel()
    middle, blocks = blocks[len(blocks) // 2], blocks[~np.isnan(blocks)]
    return len(blocks) > 1 and bool((middle > blocks).sum() > _BRIGHTER * (len(blocks) - 1))
