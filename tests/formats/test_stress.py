"""Stress.csv reads back as it was written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.formats.stress import NAMES, StressFile, read_stress
from midas.formats.table import Table
from midas.runtime.errors import FormatError


def some() -> StressFile:
    names = (*NAMES, "Shear_fcc")
    numbers = np.random.default_rng(1).normal(0, 100, (len(names), 4))
    numbers[0] = [3, 7, 120, 4000]
    numbers[names.index("System")] = [1, 2, 0, 2]
    numbers[names.index("sS11"), 2] = np.nan
    return StressFile(
        Table(names, numbers), {"material": "x", "strain": "from the spots: all"}, ("fcc (1 1 1)[0 1 -1]", "b")
    )


def test_it_reads_back(tmp_path: Path) -> None:
    path, given = tmp_path / "Stress.csv", some()
    given.write(path, ["# ff-stress, midas 1", "# command: ff-stress a b", "# input: a: b sha256 0"])
    found = read_stress(path)
    assert found.table.names == given.table.names
    np.testing.assert_allclose(found.table.columns, given.table.columns, rtol=1e-5)
    assert found.systems == given.systems
    assert given.notes.items() <= found.notes.items() and found.notes["command"] == "ff-stress a b"
    assert read_stress(path).format() == found.format()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "must name the columns"),
        (b"# only a note", "is empty"),
        (b"# note: 1\nGrainID\tX\n1\t2\n", "must name the columns"),
        ("\t".join(NAMES).encode() + b"\n1\t2\n", "must hold"),
    ],
)
def test_what_it_is_not(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "Stress.csv"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=message):
        read_stress(path)
    with pytest.raises(FormatError, match="run ff-stress first"):
        read_stress(tmp_path / "absent.csv")
