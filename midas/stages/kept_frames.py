"""Frames that a run with the same key has searched before it was stopped (docs/reliability.md#resume)."""

from __future__ import annotations

import logging

from midas.formats.layer import Layer
from midas.formats.peaks import LAYOUT, PixelLists, read_pixels
from midas.formats.table import Table
from midas.ledger.recorded import running
from midas.ledger.rows import holds
from midas.runtime.errors import MidasError
from midas.runtime.files import remove
from midas.runtime.parallel import Communicator

log = logging.getLogger(__name__)


def kept_frames(layer: Layer, own: range) -> dict[int, tuple[Table, PixelLists]]:
    """Peaks and pixels of the frames of `own` whose two files are there, and were written by a run like this one."""
    ranges = running().kept
    frames = {}
    for frame in own:
        if holds(ranges, frame) and layer.peaks(frame + 1).exists() and layer.peak_pixels(frame + 1).exists():
            try:
                frames[frame] = LAYOUT.read(layer.peaks(frame + 1)), read_pixels(layer.peak_pixels(frame + 1))
            except MidasError as error:  # searched again
                log.info("%s", error)
    if frames:
        log.info("%d of %d frames are searched already", len(frames), len(own))
    return frames


def remove_others(layer: Layer, own: range, kept: set[int], count: int, comm: Communicator) -> None:
    """Leave no file of another run: in the folder of the peaks are those of frames that are kept.

    Parameters
    ----------
    own, count : frames of this member, and of all
    """
    is_block = comm.size > 1 and not comm.connected
    if is_block:
        running().forget(own)
    others = (frame + 1 for frame in own if frame not in kept)
    remove(*(path(frame) for frame in others for path in (layer.peaks, layer.peak_pixels)))
    comm.barrier()
    if is_block or comm.rank == 0:
        running().cleared(own if is_block else range(count))
