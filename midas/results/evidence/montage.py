"""Raw pixels of the spots of grains: a window on the detector through some frames for each.

See docs/theory/evidence.md#montage.
"""

from __future__ import annotations

import queue
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from midas.archive import Archive, Pixel
from midas.experiment.angles import wrapped
from midas.experiment.corrected_frames import CorrectedFrames
from midas.results.evidence.predicted import MISSING, OUTSIDE, Predictor, layer_of, parameters_of, predictor_of
from midas.runtime.errors import StageError
from midas.runtime.parallel import ordered_map

if TYPE_CHECKING:
    from midas.results.reading import Results

Floats = NDArray[np.float32]
Rows = NDArray[np.int64]

#: by default: side of a window (px), frames of a spot, spots of a grain, frames that are read for all of them
SIDE, DEPTH, SPOTS, FRAMES = 25, 5, 12, 300
#: part of a grain's windows that may show spots that are missing
_MISSING = 0.25
#: what a code of a packed window means; the others are parts of the largest square root
_NOTHING, _LARGEST = 0, 255


@dataclass(frozen=True)
class Montage:
    """The pixels of spots.

    Parameters
    ----------
    spots : (n,) of `PREDICTED_DTYPE`, grain by grain in the order in which these were asked for
    counts : (n, depth, side, side) float32, dark subtracted: spot, frame, z upwards, y to the right; NaN where there is
        no pixel or no frame
    frames : (n, depth) int64, frames after the skipped ones from 0; -1 where there is none
    omegas : (n, depth) float64, of these frames, degrees; NaN where there is none
    y_first, z_first : (n,) int64, pixel in the first column and row
    read : frames that were read for it
    """

    spots: NDArray[np.void]
    counts: Floats
    frames: Rows
    omegas: NDArray[np.float64]
    y_first: Rows
    z_first: Rows
    read: int

    def __len__(self) -> int:
        return len(self.spots)

    def grain(self, grain_id: int) -> Montage:
        """The spots of one grain."""
        rows = np.flatnonzero(self.spots["grain_id"] == grain_id)
        return Montage(
            self.spots[rows], self.counts[rows], self.frames[rows], self.omegas[rows], self.y_first[rows],
            self.z_first[rows], self.read,
        )  # fmt: skip

    def packed(self) -> tuple[NDArray[np.uint8], Floats]:
        """One byte a pixel, for pages.

        Returns
        -------
        codes : of the shape of `counts`; 0 where there is no pixel, else ``1 + 254 sqrt(counts / peak)``, rounded;
            counts below 0 are 0
        peaks : (n,) float32, largest count of each spot
        """
        known = np.isfinite(self.counts)
        peaks = np.where(known, self.counts, 0).max(axis=(1, 2, 3), initial=0).astype(np.float32)
        scale = np.maximum(peaks, 1e-30)[:, None, None, None]
        part = np.sqrt(np.clip(np.where(known, self.counts, 0), 0, None) / scale)
        codes = np.where(known, 1 + np.rint((_LARGEST - 1) * part), _NOTHING).astype(np.uint8)
        return codes, peaks


def unpacked(codes: NDArray[np.uint8], peaks: Floats) -> Floats:
    """Inverse of `Montage.packed`, but for the rounding."""
    part = (codes.astype(np.float32) - 1) / (_LARGEST - 1)
    counts: Floats = np.where(codes == _NOTHING, np.nan, part**2 * peaks[:, None, None, None]).astype(np.float32)
    return counts


def montage(
    results: Results,
    rows: Sequence[int] | Rows,
    *,
    spots: int = SPOTS,
    side: int = SIDE,
    depth: int = DEPTH,
    most_frames: int = FRAMES,
    threads: int = 1,
) -> Montage:
    """The pixels of spots of some grains, from the frames in the archive, each of which is read once.

    Parameters
    ----------
    results : of a layer folder whose archive is there
    rows : of the grains in `Results.grains`
    spots : at most so many of each grain
    side : of a window, px
    depth : frames of a spot
    most_frames : so many frames are read at most; from then on spots that lie in frames that are read anyway

    Raises
    ------
    StageError : there is no archive
    ArchiveError : it is damaged
    ParameterError, FormatError : the layer does not say how its spots were recorded
    """
    layer = layer_of(results)
    if layer.archive is None or not layer.archive.exists():
        reason = "has no archive; the pixels of spots are in its frames"
        raise StageError(reason, file=layer.folder if layer.archive is None else layer.archive)
    predictor = predictor_of(results)
    parameters, _ = parameters_of(layer)
    with Archive(layer.archive) as archive:
        frames = CorrectedFrames.of(archive, parameters)
        chosen, of_spots = _chosen(predictor, frames, np.asarray(rows, np.int64), (spots, depth, most_frames))
        return _read(frames, chosen, of_spots, side, threads)


def _chosen(
    predictor: Predictor, frames: CorrectedFrames, rows: Rows, limits: tuple[int, int, int]
) -> tuple[NDArray[np.void], Rows]:
    """The spots to show, and their frames; grains take turns, so that all have some when the frames are used up."""
    most_spots, depth, most_frames = limits
    predicted = predictor.rows(rows)
    lists = [_ranked(predicted.of(k), most_spots) for k in range(len(rows))]
    every = np.concatenate([predicted.starts[k] + ranked for k, ranked in enumerate(lists)] or [np.empty(0, np.int64)])
    spots = predicted.spots[every]
    of_spots = _frames_of(predictor, frames, spots, depth)
    owner = np.repeat(np.arange(len(rows)), [len(ranked) for ranked in lists])
    place = np.concatenate([np.arange(len(ranked)) for ranked in lists] or [np.empty(0, np.int64)])
    needed: set[int] = set()
    taken, count = np.zeros(len(every), bool), np.zeros(len(rows), np.int64)
    # First spots that need new frames, in turns, while there are frames; then those that need none.
    for free in (False, True):
        for spot in np.lexsort((owner, place)).tolist():
            new = set(of_spots[spot][of_spots[spot] >= 0].tolist()) - needed
            room = not new if free else len(needed) + len(new) <= most_frames
            if not taken[spot] and count[owner[spot]] < most_spots and room:
                taken[spot], needed = True, needed | new
                count[owner[spot]] += 1
    kept = np.flatnonzero(taken)
    return spots[kept], of_spots[kept]


def _ranked(spots: NDArray[np.void], most: int) -> Rows:
    """Rows of the spots of a grain, those to show first: evenly over the rings and omega, and some that are missing."""
    ring, omega, state = spots["ring"], spots["omega"], spots["state"]
    seen = np.flatnonzero((state != MISSING) & (state != OUTSIDE))
    missing = np.flatnonzero(state == MISSING)

    def spread(rows: Rows) -> Rows:
        # In turns over the rings; within a ring jumps of the golden section through omega leave no part out.
        order = rows[np.lexsort((omega[rows], ring[rows]))]
        of_ring = ring[order]
        first = np.searchsorted(of_ring, of_ring)
        size = np.searchsorted(of_ring, of_ring, side="right") - first
        jump = ((np.arange(len(order)) - first) * 0.6180339887498949) % 1.0
        rank = np.empty(len(order))
        by_jump = np.lexsort((jump, of_ring))
        rank[by_jump] = (np.arange(len(order)) - first[by_jump]) / np.maximum(size[by_jump], 1)
        return order[np.lexsort((of_ring, rank))]

    seen, missing = spread(seen), spread(missing)
    some = missing[: max(1, round(_MISSING * most))]
    kept = max(most - len(some), 0)
    return np.concatenate([seen[:kept], some, seen[kept:]]).astype(np.int64)


def _frames_of(predictor: Predictor, frames: CorrectedFrames, spots: NDArray[np.void], depth: int) -> Rows:
    """(n, depth) frames in order of omega around each spot; -1 beyond the end of the scan."""
    view, known = predictor.view, spots["spot_id"] >= 0
    omega = np.where(known, spots["omega_observed"], spots["omega"])
    z_px = np.where(known, spots["z_observed"], spots["z"])
    omega = wrapped(view.of_frame(omega, np.nan_to_num(z_px), len(frames.numbers)))
    order = np.argsort(frames.omegas, kind="stable")
    sorted_omegas, number = frames.omegas[order], len(order)
    turns = np.concatenate([sorted_omegas - 360.0, sorted_omegas, sorted_omegas + 360.0])
    high = np.clip(np.searchsorted(turns, omega), 1, len(turns) - 1)
    middle = np.where(omega - turns[high - 1] <= turns[high] - omega, high - 1, high)
    at = middle[:, None] + np.arange(depth) - depth // 2
    inside = (at >= 0) & (at < len(turns))
    at = np.clip(at, 0, len(turns) - 1)
    # Frames that are not next to each other in omega do not belong to the same spot.
    step = frames.step if frames.step > 0 else 1.0
    near = inside & (np.abs(turns[at] - turns[middle][:, None]) <= (depth // 2 + 0.5) * step)
    found: Rows = np.where(near, order[at % number], -1).astype(np.int64)
    return found


def _read(frames: CorrectedFrames, spots: NDArray[np.void], of_spots: Rows, side: int, threads: int) -> Montage:
    """The windows of these spots, frame by frame."""
    known = spots["spot_id"] >= 0
    y = np.where(known, spots["y_observed"], spots["y"])
    z = np.where(known, spots["z_observed"], spots["z"])
    y_first, z_first = (np.rint(np.nan_to_num(v, nan=-1e6)).astype(np.int64) - side // 2 for v in (y, z))
    depth = of_spots.shape[1]
    counts = np.full((len(spots), depth, side, side), np.nan, np.float32)
    spot, slot = np.nonzero(of_spots >= 0)
    order = np.argsort(of_spots[spot, slot], kind="stable")
    spot, slot = spot[order], slot[order]
    of_frames = of_spots[spot, slot]
    needed = np.unique(of_frames)
    idle: queue.SimpleQueue[NDArray[Pixel]] = queue.SimpleQueue()
    for _ in range(threads + 1):
        idle.put(frames.buffer())

    def fill(frame: int) -> None:
        buffer = idle.get()
        try:
            frames.read_into(frame, buffer)
            for entry in range(*np.searchsorted(of_frames, [frame, frame + 1]).tolist()):
                which = spot[entry]
                numbers = _window(frames.numbers, int(y_first[which]), int(z_first[which]), side)
                counts[which, slot[entry]] = frames.counts(buffer, numbers)
        finally:
            idle.put(buffer)

    for _ in ordered_map(fill, needed.tolist(), threads):
        pass
    omegas = np.where(of_spots >= 0, frames.omegas[of_spots], np.nan)
    return Montage(spots, counts, of_spots, omegas, y_first, z_first, len(needed))


def _window(numbers: NDArray[np.int32], y_first: int, z_first: int, side: int) -> NDArray[np.int32]:
    """(side, side) raw pixels of a window [z, y]; -1 where there is none."""
    window = np.full((side, side), -1, np.int32)
    size = len(numbers)
    y0, y1 = max(y_first, 0), min(y_first + side, size)
    z0, z1 = max(z_first, 0), min(z_first + side, size)
    if y0 < y1 and z0 < z1:
        window[z0 - z_first : z1 - z_first, y0 - y_first : y1 - y_first] = numbers[y0:y1, z0:z1].T
    return window
