"""Parameters as the stages read them: defaults, ranges, rings, copies."""

from __future__ import annotations

import pytest

from midas.parameters import Parameters
from midas.runtime.errors import ParameterError


def test_stage_defaults() -> None:
    p = Parameters.parse("")
    assert p.for_stage("peaks")["Lsd"] == 1e6
    assert p.for_stage("refinement")["MargABC"] == 0.3
    assert p["MargABC"] == 2.0
    with pytest.raises(ParameterError):
        p.for_stage("radius")["Lsd"]


def test_repeated_ring_counts_once() -> None:
    p = Parameters.parse("RingThresh 2 5\nRingThresh 1 6\nRingThresh 2 7\n")
    assert p.rings() == ((2, 7.0), (1, 6.0))


def test_errors_name_the_line() -> None:
    p = Parameters.parse("px 1\n\nOmegaStep 0\nRingThresh 1 5\nRingThresh 2 5\n", "ps.txt")
    assert str(p.error("OmegaStep", "must not be 0")) == "ps.txt, line 3: OmegaStep: 0.0: must not be 0"
    assert str(p.error("RingThresh", "x")).startswith("ps.txt, line 5: RingThresh: ")
    assert str(p.for_stage("peaks").error("px", "x")) == "ps.txt, line 1: px: 1.0: x"
    assert str(p.changed(px=2.0).error("px", "x")) == "ps.txt: px: 2.0: x"  # stands in no line
    assert str(p.without("px").error("px", "x")) == "ps.txt: px: x"


def test_a_value_out_of_its_range_cannot_be_read() -> None:
    p = Parameters({}).changed(Lsd=-1.0, BigDetSize=-1, EResolution=(0.0, 2.0))
    with pytest.raises(ParameterError, match="Lsd: -1.0: must be greater than 0"):
        p["Lsd"]
    with pytest.raises(ParameterError, match="BigDetSize: -1: must not be negative"):
        p.get("BigDetSize")
    assert p["EResolution"] == (0.0, 2.0)


def test_positive() -> None:
    p = Parameters.parse("NrPixels 0\n")
    assert p["NrPixels"] == 0
    with pytest.raises(ParameterError, match="NrPixels: 0: must be greater than 0"):
        p.positive("NrPixels")
