"""Readers of start spots and of seed grains."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas.formats.grains import GRAINS, read_grains
from midas.formats.spots import NO_SPOT, read_seed_ids
from midas.formats.table import Table
from midas.runtime.errors import FormatError


def test_first_integer_of_each_line(tmp_path):
    path = tmp_path / "SpotsToIndex.csv"
    path.write_bytes(b"12\n  7 59\n\n-1\nword\n+4\t5\r\n99999999999999999999999\n8")
    assert read_seed_ids(path, blanks=True).tolist() == [12, 7, NO_SPOT, -1, NO_SPOT, 4, NO_SPOT, 8]
    path.write_bytes(b"")
    assert read_seed_ids(path).tolist() == []


@pytest.mark.parametrize(("content", "line"), [(b"12\n\n3\n", 2), (b"word\n", 1), (b"1\n2\n3.5\n", 3)])
def test_where_rows_matter_a_line_without_an_id_is_refused(tmp_path, content, line):
    path = tmp_path / "SpotsToIndex.csv"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=f"line {line}.*spot id"):
        read_seed_ids(path)


@given(st.lists(st.integers(-10, 10**9)))
def test_ids_read_back(tmp_path_factory, ids):
    path = tmp_path_factory.mktemp("seeds") / "SpotsToIndex.csv"
    path.write_text("".join(f"{spot_id}\n" for spot_id in ids))
    assert read_seed_ids(path).tolist() == read_seed_ids(path, blanks=True).tolist() == ids


def test_a_missing_file_names_the_command(tmp_path):
    with pytest.raises(FormatError, match=r"SpotsToIndex\.csv.*run ff-setup first"):
        read_seed_ids(tmp_path / "SpotsToIndex.csv")


def grains_file(path: Path, promised: int, present: int) -> np.ndarray:
    values = np.round(np.random.default_rng(3).normal(size=(len(GRAINS.names), present)), 4)
    values[0] = np.arange(present) + 1
    values[1:10] = np.eye(3).reshape(9, 1)
    values[13:19] = np.array([4, 4, 4, 90, 90, 90]).reshape(6, 1)
    header = "\n".join([f"%NumGrains {promised}", *GRAINS.header.split("\n")[1:]])
    GRAINS.write(path, Table(GRAINS.names, values), header=header)
    return values


def test_seed_grains_read_back(tmp_path, caplog):
    values = grains_file(tmp_path / "g.csv", 4, 4)
    grains = read_grains(tmp_path / "g.csv", through="GrainRadius", strict=False)
    np.testing.assert_array_equal(grains.columns, values)
    assert not caplog.text


@pytest.mark.parametrize(("promised", "present"), [(2, 5), (0, 3)])
def test_the_smaller_number_of_grains_counts(tmp_path, caplog, promised, present):
    grains_file(tmp_path / "g.csv", promised, present)
    with caplog.at_level(logging.WARNING):
        grains = read_grains(tmp_path / "g.csv", through="GrainRadius", strict=False)
    assert len(grains) == min(promised, present)
    assert f"announces {promised} grains, but {present} follow" in caplog.text


@pytest.mark.parametrize("strict", [True, False])
def test_a_list_that_announces_more_grains_than_follow_is_cut_off(tmp_path, strict):
    grains_file(tmp_path / "g.csv", 5, 2)
    with pytest.raises(FormatError, match=r"g\.csv, line 1: announces 5 grains, but 2 follow; it is cut off"):
        read_grains(tmp_path / "g.csv", through="GrainRadius", strict=strict)


def test_a_row_without_a_radius_is_refused(tmp_path):
    path = tmp_path / "g.csv"
    path.write_bytes(b"%NumGrains 1\n" + b"\n" * 8 + b"1 " * 22 + b"\n")
    with pytest.raises(FormatError, match="line 10: must hold 23 numbers"):
        read_grains(path, through="GrainRadius", strict=False)
