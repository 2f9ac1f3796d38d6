"""Parameters in an archive: their datasets, what old tools made of these, and the way there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas.parameters import ANALYSIS, SCAN, SENTINELS, Parameters
from midas.parameters.table import FLOAT, INT, KEYS, WORD, Key
from midas.runtime.errors import ParameterError


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
    p = Parameters.parse("Lsd 5\nSpaceGroup 225\nRMin 3\nDistortionOrder 2\nwhatever 3\nother 3.5\nGapFile 12\n")
    stored = {path.rpartition("/")[2]: array for path, array in p.archive_datasets()}
    kinds = {
        name: stored[name].dtype.str for name in ("Lsd", "SpaceGroup", "RMin", "DistortionOrder", "whatever", "other")
    }
    assert list(kinds.values()) == ["<f8", "<i4", "<f8", "<i4", "<i8", "<f8"]
    assert stored["GapFile"].dtype.kind == "S"
    assert stored["RingThresh"].shape == (1, 2)


def test_dtypes_of_keys_that_the_legacy_programs_do_not_have() -> None:
    lines = {
        "LegacyDigits": ("1", "<i4"), "WedgeModel": ("legacy", "S"), "OwnSigma": ("60 0.15", "<f8"),
        "MinUniqueSpots": ("7", "<i4"), "PullBox": ("600 600 0.5", "<f8"), "IndexPasses": ("2", "<i4"),
        "TrustLattice": ("40", "S"), "SigmaFloor": ("0.01", "<f8"), "CalibFit": ("Lsd BC p2", "S"),
        "CalibReport": ("0", "<i4"), "PeakWeights": ("poisson", "S"),
    }  # fmt: skip
    p = Parameters.parse("".join(f"{name} {text}\n" for name, (text, _) in lines.items()))
    stored = dict(p.archive_datasets())
    for name, (text, dtype) in lines.items():
        array = stored[ANALYSIS + name]
        assert array.dtype.str == dtype if dtype != "S" else array.dtype.kind == "S"
        assert array.shape == ((1,) if dtype == "S" else (len(text.split()),))
    assert stored[ANALYSIS + "CalibFit"].tolist() == [b"Lsd BC p2"]


def test_a_number_out_of_its_range_is_an_error_of_who_reads_it() -> None:
    p = Parameters.from_archive_values({ANALYSIS + "Rsample": np.array([0.0])}, "scan.zip")
    assert "Rsample" in p
    with pytest.raises(ParameterError, match=r"^scan.zip: Rsample: 0.0: must be greater than 0$"):
        p["Rsample"]
    with pytest.raises(ParameterError, match="WedgeModel: none: must be one of exact, legacy"):
        Parameters.from_archive_values({ANALYSIS + "WedgeModel": np.array([b"none"])})


def _numbers(key: Key) -> st.SearchStrategy[float | int]:
    low, high = max(key.range.low, -(2.0**31)), min(key.range.high, 2.0**31 - 1)
    if key.kind == INT:
        return st.integers(int(low) + key.range.open, int(high))
    return st.floats(low, high, exclude_min=key.range.open)


_LETTERS = st.text("abcXYZ012._-", min_size=1, max_size=12)


def _words(key: Key) -> st.SearchStrategy[str]:
    """One item of a key that is text."""
    if key.choices:
        numbers = _numbers(key).map(str) if key.or_number else st.nothing()
        return st.sampled_from(key.choices) | numbers
    return _LETTERS if key.kind == WORD else st.lists(_LETTERS, min_size=1, max_size=3).map(" ".join)


@st.composite
def _given(draw: st.DrawFn, key: Key) -> tuple[list[str], object]:
    """The lines that give a key a value, and the value."""
    lines = draw(st.integers(1, 3)) if key.lines else 1
    count = draw(st.integers(1, 4)) if key.flat else key.count
    if key.choices and key.is_number:
        value = draw(st.sampled_from(key.choices))
        return [f"{key.name} {value}"], value
    items = _numbers(key) if key.kind in (FLOAT, INT) else _words(key)
    rows = [tuple(draw(items) for _ in range(count)) for _ in range(lines)]
    text = [f"{key.name} {' '.join(map(str, row))}" for row in rows]
    if key.flat:
        return text, tuple(item for row in rows for item in row)
    found = [row if key.count > 1 else row[0] for row in rows]
    return text, tuple(found) if key.lines else found[0]


def _not_given(name: str, value: object) -> bool:
    return name in SENTINELS and np.array_equal(np.asarray(value, float), SENTINELS[name])


def _there_and_back(drawn: dict[str, tuple[list[str], object]]) -> None:
    """From text to parameters, to the datasets of an archive, and back."""
    p = Parameters.parse("\n".join(line for lines, _ in drawn.values() for line in lines))
    expected = {name: value for name, (_, value) in drawn.items() if not _not_given(name, value)}
    assert {name: p[name] for name in expected} == expected
    q = Parameters.from_archive_values(dict(p.archive_datasets()))
    stored = {name: value for name, value in expected.items() if KEYS[name].archive != ""}
    assert {name: q[name] for name in stored} == stored
    assert set(q) == set(stored)


@pytest.mark.parametrize("name", KEYS)
def test_every_key_there_and_back(name: str) -> None:
    @settings(max_examples=20)
    @given(_given(KEYS[name]))
    def check(drawn: tuple[list[str], object]) -> None:
        step = {} if name == "OmegaStep" else {"OmegaStep": (["OmegaStep 0.5"], 0.5)}  # a skipped frame needs it
        _there_and_back({name: drawn, **step})

    check()


@given(st.data())
def test_many_keys_there_and_back(data: st.DataObject) -> None:
    names = data.draw(st.lists(st.sampled_from(sorted(KEYS)), unique=True, max_size=12))
    _there_and_back({name: data.draw(_given(KEYS[name])) for name in dict.fromkeys(["OmegaStep", *names])})
