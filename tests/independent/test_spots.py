"""Spot by spot: the suite's predictions against rays that the referee traces (docs/accuracy.md#the-referee)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from simulated_spots import spots_of

from midas import simulation
from midas.experiment import DetectorGeometry
from midas.formats.table import Table
from midas.simulation import samples

from .referee.crystals import Crystal, face_centred, reflections_of
from .referee.instrument import Instrument
from .referee.rotations import random
from .referee.tracing import Spots, trace

Array = NDArray[np.float64]

TITANIUM = (2.9505, 2.9505, 4.6826, 90.0, 90.0, 120.0)
HKL = reflections_of(TITANIUM, 1.1)

#: agreement that is asked for, µm and degrees
LENGTH, ANGLE = 1e-6, 1e-9
#: beams this close to the poles (degrees of eta) fire too gradually for an omega of so many digits
POLE = 0.5


def suite(instrument: Instrument, **changes: Any) -> DetectorGeometry:
    """The suite's own instrument."""
    numbers: dict[str, Any] = {
        "lsd": instrument.lsd,
        "y_bc": instrument.beam_centre[0],
        "z_bc": instrument.beam_centre[1],
        "px": instrument.px,
        "rho_d": instrument.rho_d,
        **dict(zip(("tx", "ty", "tz"), instrument.tilts, strict=True)),
        **dict(zip(("p0", "p1", "p2", "p3"), instrument.distortion, strict=True)),
        "wavelength": instrument.wavelength,
        "wedge": instrument.wedge,
    }
    return DetectorGeometry(**{**numbers, **changes})


def crystal(seed: int, extent: float = 400.0) -> Crystal:
    """A strained one somewhere within `extent` µm."""
    rng = np.random.default_rng(seed)
    strain = rng.uniform(-1e-3, 1e-3, (3, 3))
    return Crystal(TITANIUM, random(rng, 1)[0], rng.uniform(-extent, extent, 3), strain + strain.T)


def in_line_with_origin(instrument: Instrument, spots: Spots) -> tuple[Array, Array]:
    """Places of the plane across the beam (µm) that pixels of an undistorted detector hide from the origin."""
    y, z = instrument.beam_centre[0] - spots.y_px, spots.z_px - instrument.beam_centre[1]
    x, y, z = instrument.px * instrument.detector() @ [np.zeros_like(y), y, z] + [[instrument.lsd], [0], [0]]
    return instrument.lsd * y / x, instrument.lsd * z / x


class Differences:
    """The suite's spots of a crystal minus the referee's, each against the same reflection and branch."""

    def __init__(self, one: Crystal, instrument: Instrument, **changes: Any):
        flat = replace(instrument, distortion=(0.0, 0.0, 0.0, 0.0))
        spots, undistorted = trace([one], HKL, instrument), trace([one], HKL, flat)
        rows = (np.abs(spots.eta) > POLE) & (np.abs(spots.eta) < 180 - POLE)
        spots, undistorted = spots.take(rows), undistorted.take(rows)
        ours = suite(instrument, **changes).spots(np.linalg.inv(one.lattice()).T, HKL, one.position)
        branch = np.where(np.sign(-ours.eta[spots.reflection, 0]) == spots.branch, 0, 1)
        rows = (spots.reflection, branch)
        self.spots: Spots = spots
        self.omega = (ours.omega[rows] - spots.omega + 180) % 360 - 180
        self.eta = (ours.eta[rows] - spots.eta + 180) % 360 - 180
        self.two_theta = ours.two_theta[rows] - spots.two_theta
        #: on the plane, in line with the origin and the place where the detector stops the beam
        y, z = in_line_with_origin(flat, undistorted)
        self.plane = np.array([ours.y_plane[rows] - y, ours.z_plane[rows] - z])
        self.pixel = instrument.px * np.array([ours.y_px[rows] - spots.y_px, ours.z_px[rows] - spots.z_px])
        near_poles = np.minimum(np.abs(ours.eta), 180 - np.abs(ours.eta)) <= POLE
        self.surplus = int(np.isfinite(ours.omega).sum() - np.count_nonzero(near_poles) - len(spots))

    def assert_angles(self) -> None:
        """The same beams in the same directions at the same angles."""
        assert self.surplus == 0
        for angle in (self.omega, self.eta, self.two_theta):
            np.testing.assert_allclose(angle, 0, rtol=0, atol=ANGLE)

    def assert_exact(self) -> None:
        """And they are seen at the same places."""
        self.assert_angles()
        np.testing.assert_allclose(self.plane, 0, rtol=0, atol=LENGTH)
        np.testing.assert_allclose(self.pixel, 0, rtol=0, atol=LENGTH)


instruments = st.builds(
    Instrument,
    lsd=st.floats(2e5, 1e6),
    beam_centre=st.tuples(st.floats(-200, 1200), st.floats(-200, 1200)),
    px=st.floats(50, 800),
    rho_d=st.floats(1.6e5, 4e5),  # beyond all spots: there the distortion has an inverse
    tilts=st.tuples(*[st.floats(-30, 30)] * 3),
    distortion=st.tuples(*[st.floats(-2e-3, 2e-3)] * 3, st.floats(-180, 180)),
)


@given(instruments, st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_spots_of_an_upright_axis(instrument: Instrument, seed: int) -> None:
    """Any tilts, position, strain and distortion."""
    found = Differences(crystal(seed), instrument)
    found.assert_exact()


@pytest.mark.parametrize("wedge", [0.0, 0.5, -3.0])
@pytest.mark.parametrize("tilts", [(0.2, 0.3, -0.25), (3, 5, -6), (30, 15, -12)])
def test_beams_on_a_tilted_detector(tilts: tuple[float, float, float], wedge: float) -> None:
    """A tilted surface stops a beam before or behind the plane, where a grain off the axis sends it elsewhere."""
    for seed in range(3):
        instrument = Instrument(tilts=tilts, wedge=wedge, rho_d=2e5, distortion=(1e-3, -5e-4, 3e-3, 20))
        found = Differences(crystal(seed), instrument)
        found.assert_exact()


@pytest.mark.parametrize(("tilts", "smallest", "largest"), [((0.2, 0.3, -0.25), 0.1, 0.7), ((3, 5, -6), 2, 13)])
def test_what_the_legacy_model_of_tilts_costs(
    tilts: tuple[float, float, float], smallest: float, largest: float
) -> None:
    """Spots of grains beside the origin moved on the plane: off by position times tilt times radius over distance."""
    instrument = Instrument(tilts=tilts)
    found = [Differences(crystal(seed), instrument, exact_tilts=False) for seed in range(5)]
    inside = [np.hypot(d.spots.y_plane, d.spots.z_plane) < 1e5 for d in found]
    error = np.concatenate([np.hypot(*d.pixel[:, i]) for d, i in zip(found, inside, strict=True)])
    print(f"tilts {tilts}: rms {np.sqrt(np.mean(error**2)):.3g}, largest {error.max():.3g} µm")
    assert np.sqrt(np.mean(error**2)) > smallest
    assert error.max() < largest
    # A grain on the axis has its spots right whatever the tilts.
    on_axis = Differences(crystal(1, extent=0.0), instrument, exact_tilts=False)
    np.testing.assert_allclose(on_axis.pixel, 0, rtol=0, atol=LENGTH)


@given(instruments, st.floats(-10, 10).filter(lambda w: abs(w) > 1e-3), st.integers(0, 2**32 - 1))
@settings(max_examples=30, phases=[Phase.explicit, Phase.generate])  # to make a failure smaller takes minutes
def test_spots_of_a_leaning_axis(instrument: Instrument, wedge: float, seed: int) -> None:
    """The same about an axis that leans."""
    found = Differences(crystal(seed), replace(instrument, wedge=wedge))
    found.assert_exact()


@given(instruments, st.floats(-10, 10), st.integers(0, 2**32 - 1))
@settings(max_examples=30, phases=[Phase.explicit, Phase.generate])
def test_pixels_give_the_scattering_vectors_back(instrument: Instrument, wedge: float, seed: int) -> None:
    """From the pixel that a beam is recorded in to the plane, to the beam and to the reflection of the crystal."""
    one, instrument = crystal(seed), replace(instrument, wedge=wedge)
    spots = trace([one], HKL, instrument)
    g = suite(instrument).g_vectors(spots.y_px, spots.z_px, spots.omega, one.position)
    np.testing.assert_allclose(g, one.scattering_vectors(HKL)[spots.reflection], rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("tilts", "wedge"), [((0.2, 0.3, -0.25), 0.0), ((0.2, 0.3, -0.25), 0.5), ((30.0, 15.0, -12.0), -2.0)]
)
def test_the_simulator(tilts: tuple[float, float, float], wedge: float, tmp_path: Path) -> None:
    """Every spot that it lists, and no other, to the digits of its table."""
    changes = {"p0": 1e-4, "p1": -5e-5, "p2": 3e-4, "p3": 10, "BC": (509.3, 515.7), "Wedge": wedge}
    changes |= dict(zip(("tx", "ty", "tz"), tilts, strict=True))
    parameters = samples.write("ds1", tmp_path, WriteImage=0, **changes)
    simulated = simulation.run(parameters, threads=1, folder=tmp_path).data
    instrument = Instrument(
        beam_centre=(509.3, 515.7), px=200, rho_d=102400, tilts=tilts, distortion=(1e-4, -5e-5, 3e-4, 10), wedge=wedge
    )
    grains = simulated.grains
    assert grains.cells is not None
    left, _, right = np.linalg.svd(grains.matrices)  # as a file rounds them they are no rotations
    truth = zip(grains.cells, left @ right, grains.positions, strict=True)
    nickel = reflections_of(grains.cells.mean(axis=0), 1.01, face_centred)  # five rings
    spots = trace([Crystal(tuple(cell), u, position) for cell, u, position in truth], nickel, instrument)
    recorded = (np.abs(spots.omega) < 90) & (spots.y_px >= 0) & (spots.z_px >= 0)
    recorded &= (spots.y_px < 1024) & (spots.z_px < 1024)
    traced = np.column_stack([spots.crystal, spots.omega, spots.y_px, spots.z_px])[recorded]
    assert len(traced) > 5000
    assert_listed(simulated.spots, traced, 6e-7)
    # Before they are rounded to six decimals they are as exact as the predictions.
    sample = ((left @ right).reshape(-1, 9), grains.cells, grains.positions)
    reflections = np.column_stack([nickel, np.zeros(len(nickel))])
    exact = spots_of(
        sample, suite(instrument), omega=(-90.0, 90.0, 0.5), wedge=wedge, samples=(instrument.wavelength,),
        reflections=reflections,
    )  # fmt: skip
    assert_listed(exact, traced, min(ANGLE, LENGTH / instrument.px))


def assert_listed(table: Table, traced: Array, tolerance: float) -> None:
    """The spots (crystal, omega, pixel) are those of the table, and no other."""
    listed = np.column_stack([table["GrainID"] - 1, *(table[c] for c in ("Omega", "DetectorHor", "DetectorVert"))])
    assert len(listed) == len(traced)
    _, partner = cKDTree(traced).query(listed)
    assert len(np.unique(partner)) == len(listed)
    np.testing.assert_allclose(listed, traced[partner], rtol=0, atol=tolerance)
