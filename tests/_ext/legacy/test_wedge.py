"""The change of omega by the wedge (docs/theory/wedge.md#change-of-omega)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from midas._ext.legacy.doors import omega_shift

THETA = np.radians(3.0)


def scattering(eta: float) -> np.ndarray:
    eta = np.radians(eta)
    return np.array([-np.sin(THETA), -np.cos(THETA) * np.sin(eta), np.cos(THETA) * np.cos(eta)])


@given(st.floats(-180, 180), st.floats(-3, 3))
def test_the_shift_brings_the_vector_to_the_diffraction_condition(eta: float, wedge: float) -> None:
    assume(abs(np.sin(np.radians(eta))) > 0.2)
    k, lean = scattering(eta), np.radians(wedge)
    upright = np.array([k[0] * np.cos(lean) + k[2] * np.sin(lean), k[1], k[2] * np.cos(lean) - k[0] * np.sin(lean)])
    shift = omega_shift(k, wedge)
    assert shift is not None
    turn = np.radians(shift)
    x = upright[0] * np.cos(turn) - upright[1] * np.sin(turn)
    y = upright[0] * np.sin(turn) + upright[1] * np.cos(turn)
    assert x == pytest.approx(-np.sin(THETA), abs=1e-12)
    assert np.sign(y) == np.sign(k[1])


def test_no_wedge_no_shift_and_none_beside_the_pole() -> None:
    assert omega_shift(scattering(50.0), 0.0) == pytest.approx(0.0, abs=1e-12)
    assert omega_shift(scattering(0.0), 1.0) is None
