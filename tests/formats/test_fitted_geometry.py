"""``GeometryFit.csv``."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from midas.formats.fitted_geometry import FittedNumber, format_fit, read_fit
from midas.runtime.errors import FormatError

LSD = FittedNumber("Lsd", 802000.0, 800021.993, 1.0, 4660.0, "the mean strain", -0.97, "well determined")
P0 = FittedNumber("p0", 1e-4, 1e-4, math.nan, 0.0132, "", math.nan, "held")


def test_reads_back(tmp_path: Path) -> None:
    path = tmp_path / "GeometryFit.csv"
    path.write_bytes(format_fit([LSD, P0]))
    first, second = read_fit(path)
    assert first == LSD
    assert first.change_in_sigma == pytest.approx(-1978.007)
    assert math.isnan(second.sigma)
    assert math.isnan(second.change_in_sigma)
    assert (second.partner, second.verdict) == ("", "held")
    columns = "name start value sigma change/sigma unit(px) partner r verdict"
    assert path.read_text().splitlines()[0] == "%" + columns.replace(" ", "\t")


def test_what_is_no_table(tmp_path: Path) -> None:
    path = tmp_path / "GeometryFit.csv"
    with pytest.raises(FormatError, match="run ff-geometry first"):
        read_fit(path)
    path.write_bytes(format_fit([LSD]) + b"tx\t1\n")
    with pytest.raises(FormatError, match=r"GeometryFit\.csv, line 3"):
        read_fit(path)
