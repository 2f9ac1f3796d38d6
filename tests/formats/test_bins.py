"""Data.bin and nData.bin."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.formats.bins import RECORD, bin_writer, read_bins
from midas.formats.layer import Layer
from midas.runtime.errors import FormatError


def test_round_trip_with_empty_bins_first_and_last(tmp_path: Path) -> None:
    layer = Layer(tmp_path)
    records = np.zeros((3, 2, 4), RECORD)
    records[1, 1, 2] = 2, 0
    records["offset"][1, 1, 3] = 2
    records["offset"][2] = 2
    entries = np.array([5, 9], np.int32)
    with bin_writer(layer) as writer:
        for ring, rows in zip(records, (entries[:0], entries, entries[:0]), strict=True):
            writer.add(ring, rows)
        assert writer.entries == 2
        assert not layer.bins.exists()
    assert layer.bin_counts.read_bytes() == records.tobytes()
    read = read_bins(layer, 2, 4)
    np.testing.assert_array_equal(read[0], records)
    np.testing.assert_array_equal(read[1], entries)


def test_only_empty_bins(tmp_path: Path) -> None:
    layer = Layer(tmp_path)
    with bin_writer(layer) as writer:
        writer.add(np.zeros((2, 3), RECORD), np.empty(0, np.int32))
    assert layer.bin_counts.read_bytes() == bytes(48)
    assert layer.bins.read_bytes() == b""
    assert len(read_bins(layer, 2, 3)[1]) == 0


def test_failure_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), bin_writer(Layer(tmp_path)) as writer:
        writer.add(np.ones((2, 3), RECORD), np.ones(6, np.int32))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_damaged_files(tmp_path: Path) -> None:
    layer = Layer(tmp_path)
    with pytest.raises(FormatError, match=r"nData\.bin: cannot be read .*; run ff-bin first"):
        read_bins(layer, 2, 3)
    with bin_writer(layer) as writer:
        writer.add(np.ones((2, 3), RECORD), np.ones(6, np.int32))
    layer.bins.write_bytes(bytes(20))
    with pytest.raises(FormatError, match="has 5 entries where"):
        read_bins(layer, 2, 3)
    layer.bins.write_bytes(bytes(21))
    with pytest.raises(FormatError, match="cut off"):
        read_bins(layer, 2, 3)
