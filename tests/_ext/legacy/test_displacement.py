"""Three forms of what a grain's position does to a spot (docs/theory/geometry.md#displacement-of-a-spot)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas._ext.legacy.doors import displaced_spots

LSD = 1e6
PLACE = st.floats(-1000, 1000)


@given(st.floats(-2e5, 2e5), st.floats(-2e5, 2e5), st.tuples(PLACE, PLACE, PLACE))
def test_forms_agree_as_far_as_they_should(y: float, z: float, grain: tuple[float, float, float]) -> None:
    shrunk = 1 - grain[0] / LSD
    exact = y * shrunk + grain[1], z * shrunk + grain[2]
    along, first, back = displaced_spots(LSD, y, z, grain)
    assert along == pytest.approx(exact, abs=1e-8)
    assert back == pytest.approx((y, z), abs=1e-7)
    # The first order takes the ray from the grain to the undisplaced spot.
    assert first == pytest.approx(exact, abs=1.1 * abs(grain[0]) / LSD * (max(map(abs, grain)) + 300) + 1e-6)
