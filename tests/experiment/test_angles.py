"""Angles on the circle, and the constants that the kernels use."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from midas.experiment.angles import DEG2RAD, RAD2DEG, covered, wrapped


@given(st.floats(-1e4, 1e4))
def test_wrapped_is_the_same_angle_within_half_a_turn(angle: float) -> None:
    found = float(wrapped(angle))
    assert -180 <= found < 180
    turns = (angle - found) / 360
    assert abs(turns - round(turns)) < 1e-12


def test_ends_of_the_interval() -> None:
    np.testing.assert_array_equal(wrapped([-180, 180, 540, -540, 0, 179.5]), [-180, -180, -180, -180, 0, 179.5])


def test_constants_have_fifteen_digits() -> None:
    """They decide the last printed digits of the legacy tables, so they are not pi / 180."""
    assert (DEG2RAD, RAD2DEG) == (0.0174532925199433, 57.2957795130823)
    assert np.pi / 180 != DEG2RAD and abs(DEG2RAD * RAD2DEG - 1) < 1e-14


def test_the_largest_gap_of_a_turn_is_not_covered() -> None:
    assert covered([350.0, -30.0, 10.0, 370.0]) == 40.0
    assert covered(np.arange(0.0, 360.0, 0.5)) == 359.5
    assert covered([5.0]) == covered([]) == 0.0
