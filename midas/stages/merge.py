"""Peaks of consecutive frames to spots: ``MergeOverlappingPeaksAllZarr`` (docs/theory/merge.md)."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from midas._ext.merge.chains import Chains, merge_map
from midas._ext.merge.distance import link_by_distance
from midas._ext.merge.order import order_peaks
from midas._ext.merge.pixels import link_by_pixels
from midas._ext.merge.sums import fold_chains
from midas._ext.merge.valleys import split_chains
from midas._ext.peaks.result import SATURATED
from midas.experiment.scan import Scan
from midas.formats import peaks as peak_format
from midas.formats.layer import Layer
from midas.formats.merged import MERGE_FLAGS, MERGE_MAP, RESULT
from midas.formats.peaks import PixelLists
from midas.formats.table import Table
from midas.ledger.recorded import recorded
from midas.ledger.steps import MERGE
from midas.parameters import Parameters
from midas.runtime.errors import FormatError
from midas.runtime.files import remove
from midas.runtime.parallel import SERIAL, Communicator, pool
from midas.runtime.result import StageResult
from midas.stages.digits import digits
from midas.stages.saturated_chains import ChainedPeaks, without_tails

log = logging.getLogger(__name__)

#: What the peak search hands over in memory: of each frame the peaks and their pixels (None: they are in the file).
Peaks: TypeAlias = Sequence[tuple[Table, PixelLists | None]]

#: offsets, y and z of the pixels of a frame
FramePixels: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int16], NDArray[np.int16]]

#: How the columns of a spot come from those of its peaks; the place is weighted with the intensity.
_FOLDED = {
    "intensity": ("sum", "intensity"),
    "omega_recorded": ("mean", "omega_recorded"),
    "y_recorded": ("mean", "y_recorded"),
    "z_recorded": ("mean", "z_recorded"),
    "i_max": ("largest", "i_max"),
    "min_omega": ("smallest", "omega_recorded"),
    "max_omega": ("largest", "omega_recorded"),
    "sigma_r": ("largest", "sigma_r"),
    "sigma_eta": ("largest", "sigma_eta"),
    "pixels": ("sum", "pixels"),
    "region_pixels": ("sum", "region_pixels"),
    "radius": ("newest", "radius"),
    "eta": ("newest", "eta"),
    "raw_sum": ("sum", "raw_sum"),
}
#: what is needed of the peaks, each once
_OF_PEAKS = tuple(dict.fromkeys(name for _, name in _FOLDED.values()))
_FOLDS = [(rule, _OF_PEAKS.index(name)) for rule, name in _FOLDED.values()]
_EMPTY_FRAME = len(peak_format.LAYOUT.header) + 1
_NO_PEAKS = Table(peak_format.LAYOUT.names, np.empty((len(peak_format.LAYOUT.columns), 0)))
#: by how many standard deviations of a count the tops of a chain stand above the valley between them
VALLEY_DEVIATIONS = 5.0
#: Parsing fewer bytes than this is faster without threads.
_WORTH_THREADS = 1 << 20


@recorded(MERGE)
@digits("merge")
def run(
    layer: Layer,
    parameters: Parameters,
    *,
    threads: int,
    comm: Communicator = SERIAL,
    peaks: Peaks | None = None,
) -> StageResult[tuple[Table, Table]]:
    """Link the peaks of adjacent frames, and write ``Result_*.csv`` and ``MergeMap.csv``.

    Parameters
    ----------
    peaks : of each analysed frame its peaks and their pixels; read from the files when None

    Returns
    -------
    StageResult whose data are the `Table` of the merged spots and that of the merge map
    """
    parameters = parameters.for_stage("merge")
    scan = Scan.of(layer, parameters)
    remove(layer.merged(scan.frames), layer.merge_map, layer.merge_flags)
    _log_parameters(layer, parameters, scan)
    if peaks is not None and len(peaks) != scan.frames:
        raise ValueError(f"peaks of {len(peaks)} frames for a scan of {scan.frames}")
    tables = _read_peaks(layer, scan.frames, threads) if peaks is None else [table for table, _ in peaks]
    first, everything = _stacked(tables, parameters["UseMaximaPositions"] == 1)
    kept_first, order = _order(first, everything, threads)
    everything = everything.take(order)  # nobody needs the unsorted ones; their memory serves what follows
    if parameters["UsePixelOverlap"]:
        pixels = _PixelSource(layer, peaks, [len(table) for table in tables], scan.size)
        links = _link_by_pixels(kept_first, order - np.repeat(first[:-1], np.diff(kept_first)), pixels, scan.size)
    else:
        places = (everything["y_recorded"], everything["z_recorded"])
        links = link_by_distance(kept_first, *places, parameters["OverlapLength"], threads)
    saturated = _ordered(tables, "return_code", order) == SATURATED
    if saturated.any():
        links = without_tails(*links, _chained(tables, order, kept_first, saturated, everything))
    chain_first, members = merge_map(*links)
    members = members[: chain_first[-1]]  # without those of dropped chains
    linked = len(chain_first)
    chain_first = _parted(chain_first, members, everything, saturated, parameters["ChainValley"])
    spots = _spot_table(chain_first, members, everything, threads)
    constituents = _map_table(chain_first, members, kept_first, _ordered(tables, "peak_id", order))
    _write(layer, scan, spots, constituents)
    summary = {"frames": scan.frames, "peaks": len(constituents), "merged spots": len(spots)}
    if parted := len(chain_first) - linked:
        summary["parted at valleys"] = parted
    if saturated.any():
        summary["saturated"] = _write_flags(layer, chain_first, members, saturated, everything["sigma_r"])
    return StageResult("merge", summary, (RESULT.rounded(spots), constituents))


def _parted(
    chain_first: NDArray[np.int64],
    members: NDArray[np.int64],
    peaks: Table,
    saturated: NDArray[np.bool_],
    valley: float,
) -> NDArray[np.int64]:
    """Where the chains begin, those that are two spots parted."""
    if not valley > 0:
        return chain_first
    columns = (peaks["intensity"], peaks["y_recorded"], peaks["z_recorded"], saturated.astype(np.uint8))
    return split_chains(chain_first, members, *columns, valley, VALLEY_DEVIATIONS)


def _write(layer: Layer, scan: Scan, spots: Table, constituents: Table) -> None:
    RESULT.write(layer.merged(scan.frames), spots)
    MERGE_MAP.write(layer.merge_map, constituents)
    log.info("Total spots: %d", len(spots))
    log.info("MergeMap written to: %s", layer.merge_map)


def _log_parameters(layer: Layer, parameters: Parameters, scan: Scan) -> None:
    log.info("Folder: %s", layer.folder)
    log.info("EndNr: %d", scan.frames + parameters["SkipFrame"])
    log.info("OverlapLength: %f", parameters["OverlapLength"])
    for key in ("UseMaximaPositions", "SkipFrame", "UsePixelOverlap"):
        log.info("%s: %d", key, parameters[key])


def _read_peaks(layer: Layer, frames: int, threads: int) -> list[Table]:
    """The peak table of each frame; a missing or malformed one is an error."""
    paths = [layer.peaks(frame) for frame in range(1, frames + 1)]
    sizes = [_size(path) for path in paths]
    tables = [_NO_PEAKS] * frames
    occupied = [i for i, size in enumerate(sizes) if size != _EMPTY_FRAME]

    def read(i: int) -> None:
        tables[i] = peak_format.LAYOUT.read(paths[i])

    if threads > 1 and sum(sizes[i] for i in occupied) > _WORTH_THREADS:
        with pool(threads) as workers:
            for _ in workers.map(read, occupied):
                pass
    else:
        for i in occupied:
            read(i)
    return tables


def _size(path: os.PathLike[str]) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1  # reading it explains what is wrong


def _stacked(tables: list[Table], use_maxima: bool) -> tuple[NDArray[np.int64], Table]:
    """Where each frame begins, and what a spot is made of, of the peaks of all frames."""
    replaced = {"y_recorded": "max_y", "z_recorded": "max_z"} if use_maxima else {}
    first = np.zeros(len(tables) + 1, np.int64)
    np.cumsum([len(table) for table in tables], out=first[1:])
    peaks = Table.empty(_OF_PEAKS, int(first[-1]))
    for name in _OF_PEAKS:
        np.concatenate([table[replaced.get(name, name)] for table in tables], out=peaks[name])
    return first, peaks


def _order(first: NDArray[np.int64], peaks: Table, threads: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where each frame begins without the peaks that are left out, and the order of the others."""
    eta, intensity, y, z = (peaks[name] for name in ("eta", "intensity", "y_recorded", "z_recorded"))
    kept_first, order, invalid = order_peaks(first, eta, intensity, y, z, threads)
    if invalid:
        log.warning("%d peaks left out: their intensity, position or eta is not a finite number", invalid)
    return kept_first, order


def _chained(
    tables: list[Table],
    order: NDArray[np.int64],
    kept_first: NDArray[np.int64],
    saturated: NDArray[np.bool_],
    peaks: Table,
) -> ChainedPeaks:
    """The ordered peaks, each of which reaches as far as its share of its region does."""
    reach = np.sqrt(peaks["region_pixels"] / np.maximum(_ordered(tables, "region_peaks", order), 1) / np.pi)
    return ChainedPeaks(kept_first, saturated, peaks["y_recorded"], peaks["z_recorded"], peaks["intensity"], reach)


def _ordered(tables: list[Table], name: str, order: NDArray[np.int64]) -> NDArray[np.float64]:
    """A column of the peaks of all frames, those that are kept, in their order."""
    column: NDArray[np.float64] = np.concatenate([table[name] for table in tables])[order]
    return column


class _PixelSource:
    """Pixels of the peaks of a frame, from memory or from its file, checked against its peaks and the detector."""

    def __init__(self, layer: Layer, peaks: Peaks | None, counts: list[int], size: int):
        self.layer, self.peaks, self.counts, self.size = layer, peaks, counts, size

    def __call__(self, frame: int) -> FramePixels:
        """Offsets, y and z of a frame, counted from 0."""
        if not self.counts[frame]:
            return np.zeros(1, np.int64), np.empty(0, np.int16), np.empty(0, np.int16)
        path = self.layer.peak_pixels(frame + 1)
        given = None if self.peaks is None else self.peaks[frame][1]
        pixels = peak_format.read_pixels(path) if given is None else given
        if len(pixels) != self.counts[frame]:
            reason = f"has the pixels of {len(pixels)} peaks, the table of the frame has {self.counts[frame]} peaks"
            raise FormatError(reason, file=path)
        for axis, values in (("y", pixels.y), ("z", pixels.z)):
            if len(values) and not (values.min() >= 0 and values.max() < self.size):
                outside = values[(values < 0) | (values >= self.size)][0]
                raise FormatError(
                    f"lies outside the detector of {self.size} pixels", file=path, key=axis, value=outside
                )
        return pixels.offsets, pixels.y, pixels.z


def _link_by_pixels(
    kept_first: NDArray[np.int64], records: NDArray[np.int64], pixels: Callable[[int], FramePixels], size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """`link_by_distance` with shared pixels; `records` are the places of the ordered peaks in their frame's lists."""
    chains = Chains(kept_first)
    label_map = np.zeros((size, size), np.int32)
    frames = [records[begin:end] for begin, end in zip(kept_first[:-1], kept_first[1:], strict=True)]
    current = pixels(0)
    for frame in range(1, len(frames)):
        following = pixels(frame)
        link_by_pixels(chains, label_map, frames[frame - 1], current, frames[frame], following)
        current = following
    return chains.finish()


def _spot_table(chain_first: NDArray[np.int64], members: NDArray[np.int64], peaks: Table, threads: int) -> Table:
    """The merged spots, before rounding."""
    _join_turns(chain_first, members, peaks["omega_recorded"])
    columns = np.empty((len(RESULT.names), len(chain_first) - 1))
    columns[0] = np.arange(1.0, len(chain_first))
    fold_chains(chain_first, members, peaks.columns, _OF_PEAKS.index("intensity"), _FOLDS, columns[1:], threads)
    return Table(("spot_id", *_FOLDED), columns)


def _join_turns(chain_first: NDArray[np.int64], members: NDArray[np.int64], omega: NDArray[np.float64]) -> None:
    """Move the older peaks of a spot whose recorded omegas jump by a turn, in place, to the turn of the newest one.

    The angles of an archive may be those of a motor that goes on at -180 after 180.
    """
    steps = np.diff(omega[members], prepend=omega[members[:1]])
    steps[chain_first[:-1]] = 0.0
    turns = np.rint(steps / 360.0)
    if turns.any():
        total = np.cumsum(turns)
        omega[members] -= 360.0 * (total - np.repeat(total[chain_first[:-1]], np.diff(chain_first)))


def _map_table(
    chain_first: NDArray[np.int64], members: NDArray[np.int64], kept_first: NDArray[np.int64], ids: NDArray[np.float64]
) -> Table:
    """Merged spot, frame and peak of each constituent; the newest frame of a spot first."""
    spots = np.repeat(np.arange(1, len(chain_first)), np.diff(chain_first))
    frames = np.repeat(np.arange(1, len(kept_first)), np.diff(kept_first))
    return Table(MERGE_MAP.names, np.array([spots, frames[members], ids[members]], np.float64))


def _write_flags(
    layer: Layer,
    chain_first: NDArray[np.int64],
    members: NDArray[np.int64],
    saturated: NDArray[np.bool_],
    widths: NDArray[np.float64],
) -> int:
    """Write which spots have saturated peaks, and peaks without a fit, so without a width, among these; how many."""
    unfitted = saturated & (widths == 0)
    counts = [np.add.reduceat(marks[members].astype(np.int64), chain_first[:-1]) for marks in (saturated, unfitted)]
    flagged = np.flatnonzero(counts[0])
    columns = [np.arange(1, len(chain_first)), np.diff(chain_first), *counts]
    table = Table(MERGE_FLAGS.names, np.array([column[flagged] for column in columns], np.float64))
    MERGE_FLAGS.write(layer.merge_flags, table)
    log.info("Saturated spots: %d", len(flagged))
    return len(flagged)
