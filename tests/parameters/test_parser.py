"""The parameter language, the one table, and the mapping to and from the archive."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas.parameters import ANALYSIS, SCAN, SENTINELS, Parameters
from midas.parameters.reference import reference
from midas.parameters.table import FLOAT, INT, KEYS, WORD
from midas.runtime.errors import ParameterError


def test_union_of_the_legacy_languages() -> None:
    p = Parameters.parse(
        "\tLsd 1e5\n  px +7\r\nRhoD 5;\nFileStem 007\nRawFolder /a b/c # comment\n# Wavelength 9\nWavelength\t.2 #3\n"
        "BC 1 2 3\nExt .ge3\nImTransOpt 1\nImTransOpt 2\nImTransOpt 3\nMaxNrPx 1e3\nNoSuchKey 1 x\n"
        "RingThresh 1 10\nRingThresh 4 20.5 # second\n",
        "ps.txt",
    )
    assert (p["Lsd"], p["px"], p["RhoD"], p["Wavelength"]) == (1e5, 7.0, 5.0, 0.2)
    assert (p["FileStem"], p["RawFolder"], p["Ext"]) == ("007", "/a b/c", ".ge3")
    assert p["BC"] == (1.0, 2.0)
    assert p["ImTransOpt"] == (1, 2, 3)
    assert p["MaxNrPx"] == 1000
    assert p["RingThresh"] == ((1.0, 10.0), (4.0, 20.5))
    assert p.unknown == {"NoSuchKey": ("1", "x")}


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Lsd", "needs 1 number"),
        ("Lsd abc", "is not a number"),
        ("Lsd 1_000", "is not a number"),
        ("Lsd nan", "must be finite"),
        ("BC 1", "needs 2 numbers"),
        ("LatticeParameter 4 4 4 90 90", "needs 6 numbers"),
        ("SpaceGroup 225.5", "whole number"),
        ("RingThresh 1", "needs 2 numbers"),
        ("FileStem ;", "has no value"),
        ("RefineMethod both", "must be one of joint, staged, converged"),
    ],
)
def test_bad_lines_are_named(line: str, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason) as error:
        Parameters.parse(f"px 1\n{line}\n", "ps.txt")
    assert str(error.value).startswith(f"ps.txt, line 2: {line.split()[0]}: ")


def test_missing_file_and_key(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot be read"):
        Parameters.read(tmp_path / "absent.txt")
    (tmp_path / "binary").write_bytes(b"\0\1\2")
    with pytest.raises(ParameterError, match="not a text file"):
        Parameters.read(tmp_path / "binary")
    with pytest.raises(ParameterError, match=r"ps\.txt: Lsd: is missing"):
        Parameters.parse("", "ps.txt")["Lsd"]


def test_later_scalar_wins_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        p = Parameters.parse("RhoD 1\nMaxRingRad 2\n", "ps.txt")
    assert p["RhoD"] == 2.0
    assert "MaxRingRad given before" in caplog.text


def test_stage_defaults() -> None:
    p = Parameters.parse("")
    assert p.for_stage("peaks")["Lsd"] == 1e6
    assert p.for_stage("refine")["MargABC"] == 0.3
    assert p["MargABC"] == 2.0
    with pytest.raises(ParameterError):
        p.for_stage("radius")["Lsd"]


def test_sentinels_mean_not_given() -> None:
    p = Parameters.from_archive_values(
        {
            ANALYSIS + "OmegaRanges": np.array([[-10000.0, 0.0]]),
            ANALYSIS + "BoxSizes": np.array([[-10000.0, 0, 0, 0]]),
            ANALYSIS + "RingThresh": np.zeros((1, 2)),
            ANALYSIS + "ImTransOpt": np.array([-1], "<i4"),
        }
    )
    assert [p[k] for k in ("OmegaRange", "BoxSize", "RingThresh", "ImTransOpt")] == [()] * 4
    with pytest.raises(ParameterError, match="RingThresh"):
        p.rings()


def test_repeated_ring_counts_once() -> None:
    p = Parameters.parse("RingThresh 2 5\nRingThresh 1 6\nRingThresh 2 7\n")
    assert p.rings() == ((2, 7.0), (1, 6.0))


def test_paramstest_dialect() -> None:
    p = Parameters.parse(
        "Distance 10.5;\nBeamSize 200.000000;\nStepsizePos 3;\nOutputFolder /x//Output\n", "", "paramstest"
    )
    assert (p["Lsd"], p["BeamThickness"], p["StepSizePos"], p["OutputFolder"]) == (10.5, 200.0, 3.0, "/x//Output")
    assert "BeamThickness" not in Parameters.parse("BeamSize 3\n")


def test_simulation_needs_no_thresholds() -> None:
    p = Parameters.parse("RingThresh 1\nRingsToUse 4 # x\n", "", "simulation")
    assert [ring for ring, _ in p["RingThresh"]] == [1.0, 4.0]


def test_odd_archives_are_read() -> None:
    p = Parameters.from_archive_values(
        {
            ANALYSIS + "Lsd": np.array([900000], "<i4"),
            ANALYSIS + "Wedge": np.array([[1], [2]], "<i8"),
            ANALYSIS + "ImTransOpt": np.array([[1.0], [3.0]]),
            ANALYSIS + "YCen": np.array([1.5]),
            ANALYSIS + "ZCen": np.array([2.5]),
            ANALYSIS + "PeakFitMethod": np.array([b"lm"]),
            ANALYSIS + "MaxRingRad": np.array([5.0]),
            SCAN + "step": np.array([-0.25]),
        }
    )
    assert (p["Lsd"], p["Wedge"], p["ImTransOpt"], p["BC"]) == (900000.0, 2.0, (1, 3), (1.5, 2.5))
    assert (p["PeakFitMethod"], p["RhoD"], p["OmegaStep"]) == ("lm", 5.0, -0.25)


def test_start_of_the_scan_allows_for_skipped_frames() -> None:
    p = Parameters.parse("OmegaFirstFile 10\nOmegaStep -0.25\nSkipFrame 1\n")
    assert dict(p.archive_datasets())[SCAN + "start"] == 10.25
    assert Parameters.parse("OmegaFirstFile 10\nOmegaStart 3\n").omega_start() == 3.0


def test_forced_dtypes() -> None:
    p = Parameters.parse("Lsd 5\nSpaceGroup 225\nRMin 3\nDistortionOrder 2\nwhatever 3\nother 3.5\nMaskFile 12\n")
    stored = {path.rpartition("/")[2]: array for path, array in p.archive_datasets()}
    kinds = {
        name: stored[name].dtype.str for name in ("Lsd", "SpaceGroup", "RMin", "DistortionOrder", "whatever", "other")
    }
    assert list(kinds.values()) == ["<f8", "<i4", "<f8", "<i4", "<i8", "<f8"]
    assert stored["MaskFile"].dtype.kind == "S"
    assert stored["RingThresh"].shape == (1, 2)


_NUMBERS = {
    FLOAT: st.floats(-1e12, 1e12, allow_nan=False),
    INT: st.integers(-(2**31), 2**31 - 1),
    WORD: st.text("abcXYZ012._-", min_size=1, max_size=12),
}


@given(st.data())
def test_round_trip_through_text_and_archive(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(KEYS)), unique=True, max_size=12))
    lines, expected = [], {}
    for name in names:
        key = KEYS[name]
        if key.choices or key.archive == "" or name in ("DetParams", "OmegaStart", "OmegaFirstFile", "SkipFrame"):
            continue
        count = key.count if not key.flat else data.draw(st.integers(1, 4))
        values = data.draw(st.lists(_NUMBERS.get(key.kind, _NUMBERS[WORD]), min_size=count, max_size=count))
        lines.append(f"{name} {' '.join(map(str, values))}")
        value = values[0] if count == 1 and not key.flat else tuple(values)
        value = (value,) if key.lines and not key.flat else value
        if name in SENTINELS and np.array_equal(np.asarray(value, float), SENTINELS[name]):
            lines.pop()  # means "not given"
        else:
            expected[name] = value
    p = Parameters.parse("\n".join(lines))
    assert {name: p[name] for name in expected} == expected
    q = Parameters.from_archive_values(dict(p.archive_datasets()))
    assert {name: q[name] for name in expected} == expected


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_golden_parameter_files(golden, name: str) -> None:
    user = Parameters.read(golden(name) / "Parameters.txt")
    tests = Parameters.read(golden(name) / "paramstest.txt", "paramstest")
    for key in ("Lsd", "LatticeParameter", "Wavelength", "Completeness", "OmegaRange", "MinEta", "StepSizePos"):
        assert user[key] == tests[key]


def test_reference_lists_every_key() -> None:
    text = reference()
    assert all(f"| `{name}`" in text for name in KEYS)
    written = Path(__file__).resolve().parents[2] / "docs" / "parameters.md"
    assert written.read_text(encoding="utf-8") == text, "run: make docs"
