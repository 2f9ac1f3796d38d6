"""``Data.bin`` and ``nData.bin``: spots by (ring, eta, omega) for the legacy indexer.

See docs/theory/binning.md#look-up-table.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from midas.formats.binary import read_records
from midas.formats.layer import Layer
from midas.runtime.errors import FormatError
from midas.runtime.files import atomic_outputs

#: of ``Data.bin``: rows of spots
ROW = np.dtype("<i4")
#: of ``nData.bin``: entries of the bin, entries of all bins before it
RECORD = np.dtype([("count", "<i4"), ("offset", "<i4")])


class BinWriter:
    """Writes both files part by part, in the order of the bins."""

    def __init__(self, counts: IO[bytes], rows: IO[bytes]):
        self._counts = counts
        self._rows = rows
        #: entries so far: the offset of the next bin
        self.entries = 0

    def add(self, records: NDArray[np.void], rows: NDArray[np.int32]) -> None:
        """Append bins: their `RECORD`, and the `rows` of their entries."""
        self.entries += len(rows)
        if self.entries:
            self._counts.write(np.ascontiguousarray(records, RECORD).data)
            self._rows.write(np.ascontiguousarray(rows, ROW).data)
        else:
            # Zeros up to the first entry: a hole in the file reads the same.
            self._counts.seek(records.size * RECORD.itemsize, os.SEEK_CUR)


@contextmanager
def bin_writer(layer: Layer) -> Iterator[BinWriter]:
    """A writer whose files appear when the block ends without an error, nData.bin last."""
    with atomic_outputs(layer.bins, layer.bin_counts) as (rows, counts):
        yield BinWriter(counts, rows)
        counts.truncate()


def read_bins(layer: Layer, eta_bins: int, omega_bins: int) -> tuple[NDArray[np.void], NDArray[np.int32]]:
    """Both files.

    Returns
    -------
    records : (rings, eta_bins, omega_bins) `RECORD`; ring r is records[r - 1]
    rows : (entries,) int32 spot rows
    """
    records = read_records(layer.bin_counts, RECORD, (eta_bins, omega_bins), written_by="ff-bin")
    rows = read_records(layer.bins, ROW, (), written_by="ff-bin")
    _check_total(records, rows, layer.bins)
    return records, rows


def _check_total(records: NDArray[np.void], rows: NDArray[np.int32], path: Path) -> None:
    total = sum(records[-1, -1, -1].tolist()) if len(records) else 0
    if total != len(rows):
        raise FormatError(f"has {len(rows)} entries where nData.bin counts {total}", file=path)
