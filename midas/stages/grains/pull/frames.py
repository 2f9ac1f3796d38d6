"""Boxes are filled from the frames, each of which is read once, and given up as soon as they are measured.

See docs/theory/measured_spots.md#boxes.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from midas._ext.pull.pixels import box_pixels, gather
from midas._ext.pull.sums import BOX_SUM, INCOMPLETE, sum_boxes
from midas.archive import Pixel
from midas.experiment.angles import wrapped
from midas.experiment.corrected_frames import CorrectedFrames
from midas.runtime import progress
from midas.runtime.parallel import pool
from midas.runtime.ragged import entries_of, offsets_of
from midas.stages.grains.pull.boxes import REACH, REACH_WITH_SHELL, Boxes

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

#: frames per thread that are read together
_BATCH = 8


@dataclass(frozen=True)
class FilledBoxes:
    """Boxes with all their pixels in all their frames, as the kernels take them.

    Parameters
    ----------
    rows : (n,) int64, which of all boxes they are
    boxes : these boxes
    offsets, number, radial, arc : of `midas._ext.pull.pixels.box_pixels`
    first_frame, omegas : (n + 1,) int64 and float64, their frames, in degrees from the predicted omega
    starts, values : (n + 1,) int64 and float32, counts, for each box a row of its pixels per frame
    expected : (n,) float64, frames in a box
    """

    rows: Rows
    boxes: Boxes
    offsets: Rows
    number: NDArray[np.int32]
    radial: NDArray[np.float32]
    arc: NDArray[np.float32]
    first_frame: Rows
    omegas: Array
    starts: Rows
    values: NDArray[np.float32]
    expected: Array


class Measurer(Protocol):
    """What is done with boxes of which all frames are read."""

    def __call__(self, filled: FilledBoxes, which: Rows) -> None: ...


class FrameReader(CorrectedFrames):
    """Frames whose pixels are copied into boxes."""

    def fill(self, frame: int, buffer: NDArray[Pixel], groups: list[_Group]) -> None:
        """Read a frame, and copy what boxes need of it."""
        self.read_into(frame, buffer)
        for group in groups:
            group.copy(frame, buffer.reshape(-1), self._dark, self._gain, self._blanks)


class _Group:
    """Boxes that begin in the same batch of frames."""

    def __init__(self, filled: FilledBoxes, frames: Rows):
        self.filled = filled
        box = np.repeat(np.arange(len(filled.rows)), np.diff(filled.first_frame))
        slot = np.arange(len(frames)) - filled.first_frame[box]
        order = np.argsort(frames, kind="stable")
        self._frames, self._boxes, self._slots = frames[order], box[order], slot[order]
        last = np.maximum.reduceat(frames, filled.first_frame[:-1])
        self._by_end = np.argsort(last, kind="stable")
        self._ends = last[self._by_end]
        self._done = 0

    def copy(
        self,
        frame: int,
        raw: NDArray[Pixel],
        dark: NDArray[np.float32],
        gain: NDArray[np.float32],
        blanks: Array,
    ) -> None:
        own = slice(*np.searchsorted(self._frames, [frame, frame + 1]))
        filled = self.filled
        gather(
            raw, dark, gain, blanks, self._boxes[own], self._slots[own], filled.offsets, filled.number, filled.starts,
            filled.values,
        )  # fmt: skip

    def ended(self, frame: int) -> Rows:
        """The boxes whose last frame comes before this one, each once."""
        stop = int(np.searchsorted(self._ends, frame))
        which = np.sort(self._by_end[self._done : stop])
        self._done = stop
        return which

    @property
    def finished(self) -> bool:
        return self._done == len(self._ends)


class BoxFiller:
    """Fills boxes from the frames, batch by batch.

    Parameters
    ----------
    boxes : all of them
    detector : (12,) of `midas.experiment.DetectorGeometry.packed`
    panels : of `midas.experiment.panels.panels_of`
    """

    def __init__(self, reader: FrameReader, boxes: Boxes, detector: Array, panels: Array, threads: int):
        self._reader, self._boxes, self._threads = reader, boxes, threads
        self._detector, self._panels = detector, panels
        self._first_frame, self._frames, self._omegas = _frames_of(boxes, reader.omegas)

    def run(self, work: Sequence[Measurer]) -> None:
        """Read all frames that a box needs, and hand every box on, with its pixels, when its last frame is read.

        Boxes without a frame are handed to nobody.
        """
        counts = np.diff(self._first_frame)
        some = np.flatnonzero(counts)
        if not len(some):
            return
        begins = np.full(len(counts), len(self._reader))
        begins[some] = np.minimum.reduceat(self._frames, self._first_frame[:-1][some])
        idle: queue.SimpleQueue[NDArray[Pixel]] = queue.SimpleQueue()
        for _ in range(self._threads):
            idle.put(self._reader.buffer())
        groups: list[_Group] = []
        with pool(self._threads) as workers, progress.bar(len(self._reader), "Measured spots") as advance:
            for batch in self._batches():
                rows = np.flatnonzero((begins >= batch.start) & (begins < batch.stop))
                if len(rows):
                    groups.append(self._group(rows))
                needed = [frame for frame in batch if groups]

                def fill(frame: int, groups: list[_Group] = groups) -> None:
                    buffer = idle.get()
                    try:
                        self._reader.fill(frame, buffer, groups)
                    finally:
                        idle.put(buffer)

                list(workers.map(fill, needed))
                for group in groups:
                    if len(which := group.ended(batch.stop)):
                        for measure in work:
                            measure(group.filled, which)
                groups = [group for group in groups if not group.finished]
                advance(len(batch))

    def _batches(self) -> Iterator[range]:
        frames, length = range(len(self._reader)), _BATCH * self._threads
        return (frames[i : i + length] for i in range(0, len(frames), length))

    def _group(self, rows: Rows) -> _Group:
        """These boxes with room for their pixels."""
        boxes = self._boxes.take(rows)
        reach = REACH_WITH_SHELL * boxes.half
        offsets, number, radial, arc = box_pixels(
            boxes.radius, boxes.eta, np.ascontiguousarray(reach[:, 0]), np.ascontiguousarray(reach[:, 1]),
            self._detector, self._panels, self._reader.numbers, self._threads,
        )  # fmt: skip
        counts = np.diff(self._first_frame)[rows]
        first_frame = offsets_of(counts)
        entries = entries_of(self._first_frame[:-1][rows], counts)
        starts = offsets_of(counts * np.diff(offsets))
        step = self._reader.step
        filled = FilledBoxes(
            rows,
            boxes,
            offsets,
            number,
            radial,
            arc,
            first_frame,
            self._omegas[entries],
            starts,
            np.full(starts[-1], np.nan, np.float32),
            2 * boxes.half[:, 2] / step if step > 0 else np.ones(len(rows)),
        )
        return _Group(filled, self._frames[entries])


def _frames_of(boxes: Boxes, omegas: Array) -> tuple[Rows, Rows, Array]:
    """The frames that each box may need: (n + 1,) offsets, their numbers, and how far they are from its omega."""
    turns = np.concatenate([omegas - 360.0, omegas, omegas + 360.0])
    numbers = np.tile(np.arange(len(omegas)), 3)
    order = np.argsort(turns, kind="stable")
    turns, numbers = turns[order], numbers[order]
    middle, reach = wrapped(boxes.omega), REACH * boxes.half[:, 2]
    low = np.searchsorted(turns, middle - reach, side="left")
    high = np.searchsorted(turns, middle + reach, side="right")
    first = offsets_of(high - low)
    entries = entries_of(low, high - low)
    return first, numbers[entries].astype(np.int64), turns[entries] - np.repeat(middle, high - low)


class SumOfBoxes:
    """A `Measurer` that sums boxes up.

    Attributes
    ----------
    sums : (n,) of `BOX_SUM`; those of boxes without a frame are incomplete
    """

    def __init__(self, count: int, threads: int):
        self.sums = np.zeros(count, BOX_SUM)
        self.sums["status"], self.sums["missing"] = INCOMPLETE, 1.0
        self._threads = threads

    def __call__(self, filled: FilledBoxes, which: Rows) -> None:
        boxes = filled.boxes
        self.sums[filled.rows[which]] = sum_boxes(
            which, filled.offsets, filled.radial, filled.arc, filled.starts, filled.values, filled.first_frame,
            filled.omegas, boxes.half, filled.expected, boxes.first_other, boxes.others, self._threads,
        )  # fmt: skip
