"""Readers of the spot tables: what a damaged file says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.formats.layer import Layer
from midas.formats.spots import EXTRA_INFO, INPUT_ALL, read_spots, write_spot_tables
from midas.formats.table import Table
from midas.runtime.errors import FormatError

ROW = "1.0 2.0 3.0 4.0 {} 1.0 7.0 8.0"


def write(path: Path, *rows: str) -> Path:
    path.write_text("%header\n" + "".join(f"{row}\n" for row in rows))
    return path


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([ROW.format(1), "", ROW.format(2)], "line 3: is blank"),
        ([ROW.format(1), "  \t", "", ROW.format(2)], "line 3: is blank"),
        ([ROW.format(1), "1 2 3"], "line 3: must hold 8 numbers"),
        ([ROW.format(1), ROW.format("two")], "line 3: must hold 8 numbers"),
        ([ROW.format(1), ROW.format(2).replace("7.0", "nan")], "line 3: eta: nan: must be a finite number"),
        ([ROW.format(1), ROW.format(3)], "line 3: SpotID: 3: spot ids must be 1, 2, 3"),
        ([ROW.format(0)], "line 2: SpotID: 0"),
        ([], "holds no spots"),
    ],
)
def test_damaged_table(tmp_path: Path, rows: list[str], message: str) -> None:
    with pytest.raises(FormatError, match=rf"InputAll\.csv.*{message}"):
        read_spots(write(tmp_path / "InputAll.csv", *rows), INPUT_ALL)


def test_missing_table(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"InputAll\.csv: cannot be read .*; run ff-setup first"):
        read_spots(tmp_path / "InputAll.csv", INPUT_ALL)
    (tmp_path / "InputAll.csv").touch()
    with pytest.raises(FormatError, match="is empty"):
        read_spots(tmp_path / "InputAll.csv", INPUT_ALL)


def test_surplus_columns_and_trailing_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "InputAll.csv", ROW.format(1) + " 9 10 11", ROW.format(2) + " more", "", " ")
    table = read_spots(path, INPUT_ALL)
    assert table.columns.T.tolist() == [[1, 2, 3, 4, 1, 1, 7, 8], [1, 2, 3, 4, 2, 1, 7, 8]]
    # The intensities of the ExtraInfo file may be missing.
    path = write(tmp_path / "extra.csv", ROW.format(1) + " 9 10 11 12 13 14")
    assert read_spots(path, EXTRA_INFO).columns[:, 0].tolist() == [1, 2, 3, 4, 1, 1, *range(7, 15), 0, 0]
    with pytest.raises(FormatError, match="must hold 14 numbers"):
        read_spots(write(path, ROW.format(1) + " 9 10 11 12 13"), EXTRA_INFO)


def test_written_tables_read_back(tmp_path: Path) -> None:
    rows = 40_000  # more than one part
    columns = np.random.default_rng(1).uniform(-1e5, 1e5, (16, rows))
    rejected = np.zeros(rows, bool)
    rejected[[0, 17, rows - 1]] = True
    columns[:, rejected] = 0
    columns[4] = np.arange(1.0, rows + 1)
    table = EXTRA_INFO.rounded(Table(EXTRA_INFO.names, columns))
    layer = Layer(tmp_path)
    write_spot_tables(layer, table, rejected, 2)
    np.testing.assert_array_equal(read_spots(layer.extra_info, EXTRA_INFO).columns, table.columns)
    np.testing.assert_array_equal(read_spots(layer.input_all, INPUT_ALL).columns, table.columns[:8])
    headless = layer.input_all_no_header.read_bytes()
    assert layer.input_all.read_bytes() == INPUT_ALL.header.encode() + b"\n" + headless
    zeros = "0.000 0.000 0.000 0.0000      1.00000 0.0000 0.0000 0.0000"
    assert headless.decode().splitlines()[0] == zeros
    extra = layer.extra_info.read_text().splitlines()
    assert extra[1] == zeros + " 0.000 0.000 0.000 0.0000 0.000 0.000 0.000 0.000"
