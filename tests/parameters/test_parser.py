"""The parameter language: one parser for the files of users, of the setup and of the simulation."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from midas.parameters import Parameters
from midas.parameters.parser import lines_of
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


def test_lines_of_any_length() -> None:
    """Long names, many values and long comments belong to one line, and the next one is read as it stands."""
    name = "/raw" + "/a folder" * 1000
    p = Parameters.parse(f"# {'x ' * 5000}Lsd 1\nRawFolder {name} # {'y ' * 5000}\nLsd 2\nKept {'3 ' * 9000}\npx 4\n")
    assert (p["RawFolder"], p["Lsd"], p["px"]) == (name, 2.0, 4.0)
    assert len(p.unknown["Kept"]) == 9000


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
        ("RefineMethod both", "both: must be one of joint, staged, converged"),
        ("Wavelength -1", "-1.0: must be greater than 0"),
        ("StepsizePos 0.5", "0.5: must be at least 1 µm"),
        ("SkipFrame -1", "-1: must not be negative"),
        ("SpaceGroup 231", "231: must lie in 1 ... 230"),
        ("MosaicTolerance 11", "11.0: must be greater than 0 and at most 10"),
        ("OwnSigma 50 0", "50 0: must be greater than 0"),
        ("TrustLattice some", "some: must be one of mean, none, each, or a number"),
        ("TrustLattice -3", "-3: must be greater than 0"),
        ("Dataset", "has no value"),
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


def test_paramstest_dialect() -> None:
    p = Parameters.parse(
        "Distance 10.5;\nBeamSize 200.000000;\nStepsizePos 3;\nOutputFolder /x//Output\n", "", "paramstest"
    )
    assert (p["Lsd"], p["BeamThickness"], p["StepSizePos"], p["OutputFolder"]) == (10.5, 200.0, 3.0, "/x//Output")
    assert "BeamThickness" not in Parameters.parse("BeamSize 3\n")


def test_simulation_needs_no_thresholds() -> None:
    p = Parameters.parse("RingThresh 1\nRingsToUse 4 # x\n", "", "simulation")
    assert [ring for ring, _ in p["RingThresh"]] == [1.0, 4.0]


def test_words_and_lines_of_text() -> None:
    p = Parameters.parse(
        "CalibFit Lsd BC ty;\nTrustLattice 50\nDataset ff1 a b.txt one.npz\nDataset ff2 c.txt two.npz # second\n"
    )
    assert p["CalibFit"] == ("Lsd", "BC", "ty")
    assert p["TrustLattice"] == "50"
    assert p["Dataset"] == ("ff1 a b.txt one.npz", "ff2 c.txt two.npz")
    assert Parameters({})["CalibFit"] == ("auto",)


def test_default_is_allowed_whatever_the_range() -> None:
    assert Parameters.parse("WidthTthPx -1\n")["WidthTthPx"] == -1
    with pytest.raises(ParameterError, match="WidthTthPx: -2.0: must be greater than 0"):
        Parameters.parse("WidthTthPx -2\n")


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_golden_parameter_files(golden, name: str) -> None:
    user = Parameters.read(golden(name) / "Parameters.txt")
    tests = Parameters.read(golden(name) / "paramstest.txt", "paramstest")
    for key in ("Lsd", "LatticeParameter", "Wavelength", "Completeness", "OmegaRange", "MinEta", "StepSizePos"):
        assert user[key] == tests[key]


def test_lines_of_values_read_back() -> None:
    text = "Lsd 100000.5\nBC 1.0 2.5\nImTransOpt 1\nImTransOpt 2\nRingThresh 1 10.0\nRingThresh 4 20.5\nFileStem a_b\n"
    given = Parameters.parse(text, "ps.txt").as_given()
    written = [line for name, value in given.items() for line in lines_of(name, value)]
    assert Parameters.parse("\n".join(written), "ps.txt").as_given() == given
    assert lines_of("CalibRingsToExclude", (3, 5), "RingsToExclude") == ["RingsToExclude 3", "RingsToExclude 5"]
