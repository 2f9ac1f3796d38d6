"""paramstest.txt: order and formats of its lines (docs/theory/fit_setup.md#paramstesttxt)."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas.formats.layer import Layer
from midas.formats.paramstest import format_paramstest
from midas.parameters import Parameters
from midas.parameters.table import KEYS
from midas.runtime.errors import ParameterError

LAYER = Layer(Path("somewhere"), folder_text="/data/layer 1/")

PARAMETERS = Parameters(
    {
        "LatticeParameter": (4.08, 4.08, 4.08, 90.0, 90.0, 90.0),
        "RhoD": 204800.0,
        "SpaceGroup": 225,
        "Wavelength": 0.22291,
        "Lsd": 1e6,
        "BC": (1022.5, 1021.25),
        "px": 200.0,
        "Rsample": 2000.0,
        "Hbeam": 2000.0,
        "RingNumbers": (1, 3),
        "RingRadii": (94890.5, 157000.0),
        "OmegaRange": ((-180.0, 0.0), (10.0, 180.0)),
        "BoxSize": ((-1e6, 1e6, -1e6, 1e6), (0.0, 1.0, 2.0, 3.0)),
        "p1": -5e-05,
    }
)


LINES = """\
LatticeParameter 4.080000 4.080000 4.080000 90.000000 90.000000 90.000000;
MaxRingRad 204800.000000;
SpaceGroup 225;
Wavelength 0.222910;
Distance 1000000.000000;
Rsample 2000.000000;
Hbeam 2000.000000;
px 200.000000;
BeamSize 0.000000;
StepsizePos 5.000000;
StepsizeOrient 0.200000;
MarginRadius 500.000000;
OmeBinSize 0.100000;
EtaBinSize 0.100000;
ExcludePoleAngle 0.000000;
RingNumbers 1;
RingNumbers 3;
RingRadii 94890.500000;
RingRadii 157000.000000;
UseFriedelPairs 1;
Wedge 0.000000;
OmegaRange -180.000000 0.000000;
OmegaRange 10.000000 180.000000;
BoxSize -1000000.000000 1000000.000000 -1000000.000000 1000000.000000;
BoxSize 0.000000 1.000000 2.000000 3.000000;
MarginEta 500.000000;
MarginOme 0.500000;
MargABC 2.000000;
MargABG 2.000000;
MarginRadial 500.000000;
MinMatchesToAcceptFrac 0.000000;
SpotsFileName InputAll.csv
RefinementFileName InputAllExtraInfoFittingAll.csv
OutputFolder /data/layer 1///Output
ResultFolder /data/layer 1///Results
IDsFileName SpotsToIndex.csv
LsdFit 1000000.000000
YBCFit 1022.500000
ZBCFit 1021.250000
tyFit 0.000000
tzFit 0.000000
p0 0.000000
p1 -0.000050
p2 0.000000
p3 0.000000
"""


def test_every_line() -> None:
    assert format_paramstest(PARAMETERS, LAYER).decode() == LINES


def test_new_keys_follow_when_they_are_not_the_default() -> None:
    given_keys = PARAMETERS.changed(RingsToReject=(4, 2), RefineMethod="staged", WriteLegacyBins=0)
    text = format_paramstest(given_keys, LAYER).decode()
    assert text.endswith("p3 0.000000\nRingsToReject 4\nRingsToReject 2\nRefineMethod staged\nWriteLegacyBins 0\n")
    defaults = PARAMETERS.changed(RingsToReject=(), RefineMethod="joint", WriteLegacyBins=1)
    assert format_paramstest(defaults, LAYER) == format_paramstest(PARAMETERS, LAYER)


def test_every_key_of_the_new_suite_is_handed_on_in_its_order() -> None:
    lines = [
        "RingsToReject 4", "RefineMethod converged", "WriteLegacyBins 0", "LegacyDigits 1", "WedgeModel exact",
        "TiltModel exact",
        "GrainMerging mosaic", "OwnSigma 60.000000 0.150000", "OwnWindow 4.000000", "UniqueCompleteness 0.300000",
        "MinUniqueSpots 8", "MinSignificance -1000.000000", "FamilyAngle 1.500000", "MosaicTolerance 3.000000",
        "MosaicGap 0.1234567", "MeasureSpots 1", "PullBox 600.000000 600.000000 0.500000", "IndexPasses 2",
        "SkipExplainedSeeds 1", "SpaceGroupSetting P21/n",
    ]  # fmt: skip
    text = "\n".join(reversed(lines))  # their order in the user's file does not matter
    values = Parameters.parse(text)
    written = PARAMETERS.changed(**{name: values[name] for name in values})
    assert format_paramstest(written, LAYER).decode().split("\np3 0.000000\n")[1].splitlines() == lines
    read = Parameters.parse(format_paramstest(written, LAYER).decode(), "paramstest.txt", "paramstest")
    assert {name: read[name] for name in values} == {name: values[name] for name in values}


def test_tilts_are_read_back() -> None:
    """The one about the beam is new in this file and stands there where beams know of it."""
    tilts = {"tx": 0.2, "ty": 0.3, "tz": -0.25}
    text = format_paramstest(PARAMETERS.changed(**tilts), LAYER).decode()
    assert text.endswith("p3 0.000000\ntx 0.200000\n")
    read = Parameters.parse(text, "paramstest.txt", "paramstest")
    assert {name: read[name] for name in tilts} == tilts
    legacy = format_paramstest(PARAMETERS.changed(**tilts, TiltModel="legacy"), LAYER).decode()
    assert legacy.endswith("p3 0.000000\nTiltModel legacy\n")


def test_defaults_of_new_keys_are_not_handed_on() -> None:
    given_keys = PARAMETERS.changed(WedgeModel="exact", GrainMerging="spots", IndexPasses=3, PeakWeights="poisson")
    assert format_paramstest(given_keys, LAYER) == format_paramstest(PARAMETERS, LAYER)


def test_shortest_text_where_six_decimals_lose_digits() -> None:
    text = format_paramstest(PARAMETERS.changed(Wavelength=0.1729785432, p0=1.5e-07, px=74.8), LAYER).decode()
    assert "\nWavelength 0.1729785432;\n" in text
    assert "\np0 1.5e-07\n" in text
    assert "\npx 74.800000;\n" in text


@given(
    st.tuples(st.floats(1e-12, 1e12), *[st.floats(-1e12, 1e12)] * 5),
    st.lists(st.floats(1, 1e7), min_size=1, max_size=4),
)
def test_numbers_read_back_exactly(numbers: tuple[float, ...], radii: list[float]) -> None:
    written = PARAMETERS.changed(
        LatticeParameter=numbers,
        Wavelength=min(numbers[0], KEYS["Wavelength"].range.high),
        Wedge=numbers[1],
        RingNumbers=tuple(range(1, len(radii) + 1)),
        RingRadii=tuple(radii),
    )
    read = Parameters.parse(format_paramstest(written, LAYER).decode(), "paramstest.txt", "paramstest")
    for name in ("LatticeParameter", "Wavelength", "Wedge", "RingNumbers", "RingRadii", "OmegaRange", "BoxSize"):
        assert read[name] == written[name]
    for name in ("RhoD", "Lsd", "px", "MinEta", "Completeness", "BeamThickness", "StepSizeOrient", "MargABC"):
        assert read[name] == written[name]


@pytest.mark.parametrize("name", ["LatticeParameter", "RhoD", "SpaceGroup", "Wavelength", "Rsample", "Hbeam", "BC"])
def test_missing_key(name: str) -> None:
    with pytest.raises(ParameterError, match=f"{name}: is missing"):
        format_paramstest(PARAMETERS.without(name), LAYER)
