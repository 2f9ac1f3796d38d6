"""Results of the refinement: Key, OrientPosFit, ProcessKey and FitBest (docs/theory/refinement.md#result-of-a-seed)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.formats.binary import INT32, joined, read_records
from midas.formats.index import SLOT
from midas.formats.layer import Layer
from midas.formats.marks import marks_file
from midas.formats.slots import read_slots, unfinished
from midas.runtime.errors import FormatError
from midas.runtime.ragged import offsets_of

#: ``Key.bin``: int32 (seed id, spots) per seed; (0, 0) is a seed without result
KEY_BYTES = 8

#: ``OrientPosFit.bin``: per seed; the id is repeated before each group of numbers
ORIENT_POS_FIT = np.dtype(
    [
        ("id", "<f8"),
        ("orientation", "<f8", 9),
        ("id_position", "<f8"),
        ("position", "<f8", 3),
        ("id_cell", "<f8"),
        ("cell", "<f8", 6),
        ("id_errors", "<f8"),
        ("diff_pos", "<f8"),
        ("diff_ome", "<f8"),
        ("diff_angle", "<f8"),
        ("grain_radius", "<f8"),
        ("completeness", "<f8"),
    ]
)

#: ``ProcessKey.bin``: int32 spot ids, SLOT per seed
PROCESS_KEY_BYTES = 4 * SLOT

#: ``FitBest.bin``: per matched spot, SLOT spots per seed. The spot as observed, moved as if its grain were at the
#: origin; as predicted for a grain there; as in the spot tables, ideal and recorded; differences of the first two
FIT_BEST = np.dtype(
    [
        ("spot_id", "<f8"),
        ("y_centred", "<f8"),
        ("z_centred", "<f8"),
        ("omega_centred", "<f8"),
        ("g_observed", "<f8", 3),
        ("y_predicted", "<f8"),
        ("z_predicted", "<f8"),
        ("omega_predicted", "<f8"),
        ("g_predicted", "<f8", 3),
        ("y_ideal", "<f8"),
        ("z_ideal", "<f8"),
        ("omega_ideal", "<f8"),
        ("omega_recorded", "<f8"),
        ("y_plane", "<f8"),
        ("z_plane", "<f8"),
        ("diff_angle", "<f8"),
        ("diff_pos", "<f8"),
        ("diff_ome", "<f8"),
    ]
)
FIT_BEST_BYTES = FIT_BEST.itemsize * SLOT

#: a seed that explains a smaller part of its spots is no solution: no grain is made of it
LEAST_COMPLETENESS = 0.05


@dataclass(frozen=True)
class RefinedSeeds:
    """The solutions of n seeds.

    Parameters
    ----------
    key : (n, 2) int32, seed id and number of spots; (0, 0) is a seed without result
    orient_pos_fit : (n,) of `ORIENT_POS_FIT`; zeros without result
    offsets : (n + 1,) int64; row r matched ``spot_ids[offsets[r] : offsets[r + 1]]``
    spot_ids : int32
    fit_best : (total,) of `FIT_BEST`, parallel to spot_ids; None when they are still in `fit_best_file`, which is many
        times as large as what a reader needs
    """

    key: NDArray[np.int32]
    orient_pos_fit: NDArray[np.void]
    offsets: NDArray[np.int64]
    spot_ids: NDArray[np.int32]
    fit_best: NDArray[np.void] | None = None
    fit_best_file: Path | None = field(default=None, compare=False)

    def column(self, name: str) -> NDArray[np.float64]:
        """A field of `orient_pos_fit`, contiguous: (n,), or (n, k) where it holds k numbers."""
        return np.ascontiguousarray(self.orient_pos_fit[name])

    def fit_rows(self, rows: Sequence[int] | NDArray[np.int64]) -> NDArray[np.void]:
        """FitBest records of these rows, one after the other; (sum of their spots,) of `FIT_BEST`."""
        rows = np.asarray(rows, np.int64)
        if self.fit_best is not None:
            ranges = [self.fit_best[self.offsets[r] : self.offsets[r + 1]] for r in rows]
            return joined(ranges) if ranges else np.empty(0, FIT_BEST)
        if self.fit_best_file is None:
            raise ValueError("neither the fitted spots nor their file")
        counts = np.diff(self.offsets)[rows]
        return read_slots(self.fit_best_file, FIT_BEST, FIT_BEST_BYTES, rows, counts, written_by="ff-refine")


def joined_seeds(parts: Sequence[RefinedSeeds]) -> RefinedSeeds:
    """The seeds of all parts, which hold their fitted spots, one part after the other."""
    if not parts:
        empty, none = np.empty(0, ORIENT_POS_FIT), np.empty(0, FIT_BEST)
        return RefinedSeeds(np.zeros((0, 2), np.int32), empty, np.zeros(1, np.int64), np.empty(0, np.int32), none)
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    return RefinedSeeds(
        np.concatenate([part.key for part in parts]),
        joined([part.orient_pos_fit for part in parts]),
        offsets_of(counts),
        np.concatenate([part.spot_ids for part in parts]),
        joined([part.fit_best for part in parts if part.fit_best is not None]),
    )


@dataclass(frozen=True)
class RefinedFiles:
    """Where the results of the refinement stand, and which rows are written."""

    key: Path
    orient_pos_fit: Path
    process_key: Path
    fit_best: Path
    marks: Path

    @classmethod
    def of(cls, layer: Layer) -> RefinedFiles:
        """Complete results."""
        return cls(layer.key, layer.orient_pos_fit, layer.process_key, layer.fit_best, marks_file(layer.key))

    @property
    def unfinished(self) -> RefinedFiles:
        """Those of a run that is not complete."""
        return RefinedFiles(*map(unfinished, self))

    def __iter__(self) -> Iterator[Path]:
        """All of them, the keys first: without these the rest means nothing."""
        yield from (self.key, self.orient_pos_fit, self.process_key, self.fit_best, self.marks)


def read_refined(layer: Layer, n: int, missing: NDArray[np.bool_] | None = None) -> RefinedSeeds:
    """The solutions of `n` seeds from the layer's files; the records of FitBest stay there until they are used.

    OrientPosFit, ProcessKey and FitBest end with the last seed that has a solution; they may be absent when none has.

    Parameters
    ----------
    missing : (n,) flags of seeds that count as if they had no solution

    Raises
    ------
    FormatError
        when a file is missing, or too short or long for the seeds and their numbers of spots
    """
    key = read_records(layer.key, INT32, (2,), written_by="ff-refine")
    if missing is not None and len(key) < n and missing[len(key) :].all():
        key = np.concatenate([key, np.zeros((n - len(key), 2), INT32)])
    if len(key) != n:
        need = n * KEY_BYTES
        raise FormatError(f"has {len(key) * KEY_BYTES} bytes where {n} seeds need {need}", file=layer.key)
    if missing is not None:
        key[missing] = 0
    return _with_key(RefinedFiles.of(layer), key, 0)


def read_rows(files: RefinedFiles, rows: range) -> RefinedSeeds:
    """The solutions of some rows, with their records of FitBest."""
    key = read_records(files.key, INT32, (2,), written_by="ff-refine")[rows.start : rows.stop]
    found = _with_key(files, key, rows.start)
    counts, used = np.diff(found.offsets), np.arange(rows.start, rows.stop)
    some = counts > 0
    fits = np.empty(0, FIT_BEST)
    if some.any():
        fits = read_slots(files.fit_best, FIT_BEST, FIT_BEST_BYTES, used[some], counts[some], written_by="ff-refine")
    return replace(found, fit_best=fits, fit_best_file=None)


def _with_key(files: RefinedFiles, key: NDArray[np.int32], first: int) -> RefinedSeeds:
    """The solutions of rows from `first` on that have these keys."""
    counts = np.where(key[:, 0] == 0, 0, key[:, 1]).astype(np.int64)
    if (bad := np.flatnonzero((counts < 0) | (counts > SLOT))).size:
        row, count = first + bad[0], counts[bad[0]]
        raise FormatError(f"row {row}: {count} spots do not fit into a slot of {SLOT}", file=files.key)
    orient_pos_fit = np.zeros(len(key), ORIENT_POS_FIT)
    solved = np.flatnonzero(key[:, 0])
    if solved.size:
        records = read_records(files.orient_pos_fit, ORIENT_POS_FIT, (), written_by="ff-refine")
        if len(records) <= first + solved[-1]:
            have, need = records.nbytes, (first + int(solved[-1]) + 1) * ORIENT_POS_FIT.itemsize
            raise FormatError(f"has {have} bytes where its solutions need {need}", file=files.orient_pos_fit)
        orient_pos_fit[solved] = records[first + solved]
    used = np.flatnonzero(counts)
    spots = np.empty(0, np.int32)
    if used.size:
        spots = read_slots(
            files.process_key, INT32, PROCESS_KEY_BYTES, first + used, counts[used], written_by="ff-refine"
        )
    return RefinedSeeds(key, orient_pos_fit, offsets_of(counts), spots, fit_best_file=files.fit_best)
