"""The leaning axis against rotations about it (docs/theory/wedge.md), and there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from midas._ext.fit_setup import laboratory_spots
from midas._ext.physics.spots import predicted_spots, scattering_vectors, turned_spots
from midas.experiment import DetectorGeometry, wrapped

Array = NDArray[np.float64]

LSD, WAVELENGTH = 5e5, 0.172979


def about(axis: Array, angle: float) -> Array:
    """Rodrigues' rotation, the angle in radians."""
    cross = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def spot(k: Array) -> Array:
    """y, z (µm) where the ray beam + k meets the plane."""
    ray = k + [1 / WAVELENGTH, 0, 0]
    return LSD * ray[1:] / ray[0]


class Axis:
    """A rotation axis that leans by the wedge (degrees) and a reflection that it turns."""

    def __init__(self, wedge: float) -> None:
        lean = np.radians(wedge)
        self.axis = np.array([-np.sin(lean), 0, np.cos(lean)])
        #: sample to laboratory at omega = 0: the shortest turn that brings z to the axis
        self.start = about(np.array([0.0, 1.0, 0.0]), -lean)

    def turned(self, g: Array, omega: float) -> Array:
        return about(self.axis, omega) @ self.start @ g

    def spots(self, g: Array) -> list[tuple[float, Array]]:
        """Omega (rad) and k of both solutions of x = -wavelength |g|²/2; none if it never fires."""
        start = self.start @ g
        along = self.axis * (self.axis @ start)
        across, third = start - along, np.cross(self.axis, start)
        # x = along + across cos + third sin
        reach, phase = np.hypot(across[0], third[0]), np.arctan2(third[0], across[0])
        cosine = (-WAVELENGTH * (g @ g) / 2 - along[0]) / reach
        if abs(cosine) > 1:
            return []
        omegas = [phase + s * np.arccos(cosine) for s in (1, -1)]
        return [(omega, self.turned(g, omega)) for omega in omegas]


def reflection(theta: float, height: float, azimuth: float) -> Array:
    """A vector with this Bragg angle (degrees), height over the equator and azimuth in the sample (degrees)."""
    up, around = np.radians([height, azimuth])
    length = 2 * np.sin(np.radians(theta)) / WAVELENGTH
    return length * np.array([np.cos(up) * np.cos(around), np.cos(up) * np.sin(around), np.sin(up)])


reflections = st.builds(reflection, st.floats(1, 8), st.floats(-80, 80), st.floats(-180, 180))


@given(reflections, st.floats(-10, 10))
@settings(max_examples=100)
def test_rotation_about_the_axis(g: Array, wedge: float) -> None:
    leaning, upright = Axis(wedge).spots(g), Axis(0.0).spots(g)
    assume(len(leaning) == len(upright) == 2)
    assume(all(np.hypot(*k[1:]) * 0.03 < abs(k[1]) for _, k in leaning + upright))
    found = predicted_spots(g[None], np.zeros((1, 3)), LSD, WAVELENGTH, wedge, True)[:, 0]
    for omega, k in leaning:
        y, z = spot(k)
        j = int(abs(found[2, 1] - y) < abs(found[2, 0] - y))
        assert found[2:4, j] == pytest.approx([y, z], abs=1e-6)
        assert wrapped(found[0, j] - np.degrees(omega)) == pytest.approx(0, abs=1e-9)
        # The ideal spot is that of the upright axis on the same side of the beam.
        omega_ideal, k_ideal = next((w, v) for w, v in upright if (v[1] > 0) == (y > 0))
        assert wrapped(found[1, j] - np.degrees(omega_ideal)) == pytest.approx(0, abs=1e-9)
        recorded = np.array([y]), np.array([z]), np.degrees([omega])
        ideal = turned_spots(*recorded, LSD, wedge, True, False)[:, 0]
        assert ideal[:2] == pytest.approx(spot(k_ideal), abs=1e-6)
        assert wrapped(ideal[2] - np.degrees(omega_ideal)) == pytest.approx(0, abs=1e-9)
        assert np.hypot(*ideal[:2]) == pytest.approx(np.hypot(y, z), rel=1e-14)
        back = scattering_vectors(*recorded, np.zeros((1, 3)), LSD, WAVELENGTH, wedge, True)
        assert back[0] == pytest.approx(g, abs=1e-13)


@given(st.floats(10, 170), st.floats(2e4, 1.2e5), st.floats(-180, 180), st.sampled_from([-1, 1]), st.floats(-5, 5))
@settings(max_examples=100)
@pytest.mark.parametrize("exact", [True, False])
def test_there_and_back(exact: bool, eta: float, radius: float, omega: float, side: int, wedge: float) -> None:
    eta = np.radians(side * eta)
    recorded = [np.array([value]) for value in (-radius * np.sin(eta), radius * np.cos(eta), omega)]
    detector = DetectorGeometry(LSD, 0.0, 0.0, 200.0, 1e5, wedge=wedge, exact_wedge=exact)
    ideal = detector.upright(*recorded)
    assume(not np.isnan(ideal[2]).any())
    again = detector.leaning(*ideal)
    assert [again[0][0], again[1][0]] == pytest.approx([recorded[0][0], recorded[1][0]], abs=1e-6)
    assert wrapped(again[2][0] - omega) == pytest.approx(0, abs=1e-9)
    if not exact:
        assert [ideal[0][0], ideal[1][0]] == [recorded[0][0], recorded[1][0]]
    # Setup has the same spots.
    setup = laboratory_spots(
        -recorded[0] / 200, recorded[1] / 200, recorded[2], detector.packed(), 0.2, wedge, exact, 1
    )
    assert setup[:2, 0] == pytest.approx([ideal[0][0], ideal[1][0]], abs=1e-6)
    assert wrapped(setup[2, 0] - ideal[2][0]) == pytest.approx(0, abs=1e-7)
    assert setup[3, 0] == pytest.approx(-np.degrees(np.arctan2(ideal[0][0], ideal[1][0])), abs=1e-6)


def test_first_order() -> None:
    """z' - z = R W tan θ, y' - y = R W tan θ cot η, Δη = -W tan θ/sin η, Δω = -W cot η."""
    eta, radius, wedge = np.radians(np.array([30.0, 70, -50, 110, -140])), 8e4, 0.01
    y, z, omega = -radius * np.sin(eta), radius * np.cos(eta), np.zeros(5)
    ideal = turned_spots(y, z, omega, LSD, wedge, True, False)
    lean, tangent = np.radians(wedge), np.tan(np.arctan(radius / LSD) / 2)
    np.testing.assert_allclose(ideal[1] - z, radius * lean * tangent, rtol=1e-3)
    np.testing.assert_allclose(ideal[0] - y, radius * lean * tangent / np.tan(eta), rtol=1e-3)
    np.testing.assert_allclose(-np.arctan2(*ideal[:2]) - eta, -lean * tangent / np.sin(eta), rtol=1e-3)
    np.testing.assert_allclose(ideal[2], -wedge / np.tan(eta), rtol=1e-3)


def test_beside_the_pole_there_is_no_partner() -> None:
    radius = np.array([8e4])
    beside = turned_spots(radius * np.sin(0.01), radius * np.cos(0.01), np.zeros(1), LSD, 0.5, True, False)
    assert np.isnan(beside).all()
    never = turned_spots(radius * np.sin(0.01), radius * np.cos(0.01), np.zeros(1), LSD, -0.5, True, True)
    assert np.isnan(never).all()
    with pytest.raises(ValueError, match="one z and omega"):
        turned_spots(radius, radius, np.zeros(2), LSD, 0.5, True, True)
