"""Broken crystals against their truth, made without the suite's own predictor (docs/theory/mosaic.md)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated_grains import Experiment, Spots, simulate, small_rotation

from midas._ext.grains.reflections import ReflectionModel
from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.settings import Bounds, Instrument, Recipe, Reflections
from midas.experiment.crystals import Crystals
from midas.experiment.orientation import (
    misorientation,
    quaternion_product,
    quaternions_from_matrices,
    symmetry_operators,
)
from midas.experiment.region import ANY_BOX, ANY_OMEGA, UNLIMITED
from midas.experiment.seed_fit import GrainFit
from midas.stages.grains.mosaic.fragments import BrokenSpots, Cone, Fragments, combined_spots, spread
from midas.stages.grains.mosaic.rounds import CombinedFit, MosaicModel, resolve_mosaic
from midas.stages.grains.resolve.families import mean_orientations

Array = NDArray[np.float64]
CELL = np.array([4.08, 4.08, 4.08, 90.0, 90.0, 90.0])
CUBIC = symmetry_operators(225, tuple(CELL), "")
CONE = Cone(tolerance=2.5, gap=2.0, radial=400.0, reach=1500.0)


@dataclass
class Broken:
    """Two crystals of eight pieces each, whose rotations are known, as if each piece had been found."""

    experiment: Experiment
    seed: int = 1
    width: float = 0.35

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.parents = np.array([small_rotation(rng.uniform(-60, 60, 3)) for _ in range(2)])
        self.positions = rng.uniform(-200, 200, (2, 3))
        self.cells = np.array([CELL * [1.001, 1.0005, 0.999, 1, 1, 1], CELL])
        self.rotations = rng.normal(0, self.width, (2, 8, 3)) * [1.0, 0.6, 0.3]
        self.rotations -= self.rotations.mean(axis=1, keepdims=True)
        pieces = [small_rotation(r) @ u for u, of in zip(self.parents, self.rotations, strict=True) for r in of]
        self.of = np.repeat([0, 1], 8)
        # What is found of a piece alone lies somewhere.
        off = rng.normal(0, 100, (16, 3))
        self.pieces = Crystals(np.array(pieces), self.positions[self.of] + off, np.tile(CELL, (16, 1)))
        self.spots: Spots = simulate(self.experiment, self.pieces.u, self.positions[self.of], self.cells[self.of])
        self.intensity = np.ones(len(self.spots))

    def model(self, cone: Cone = CONE) -> MosaicModel:
        e, s = self.experiment, self.spots
        hkl, first = e.reflections()
        places = (s.y_plane, s.z_plane, s.omega_recorded)
        rings = np.arange(len(first) - 1, dtype=np.int32)
        instrument = Instrument(e.lsd, e.wavelength, e.wedge, e.exact_wedge)
        region = AcceptedRegion(min_eta=e.min_eta, ranges=np.array([ANY_OMEGA]), boxes=np.array([ANY_BOX]))
        bounds = Bounds(cell=CELL, margin_lengths=0.02, margin_angles=0.02, r_sample=1000, h_beam=1000)
        recipe = Recipe(sigma_spot=30.0, sigma_omega=0.1)
        return MosaicModel(
            fit=GrainFit(instrument, UNLIMITED, Reflections(hkl, first), bounds, recipe),
            reflections=ReflectionModel(hkl, np.repeat(rings, np.diff(first)), instrument, region),
            rings=rings,
            spots=BrokenSpots(*places, s.group.astype(np.int64), self.intensity, np.ones(len(self.intensity))),
            operators=CUBIC,
            cone=cone,
        )

    def resolved(self, owner: NDArray[np.int64] | None = None, **cone: float) -> tuple[Array, Array, CombinedFit]:
        owner = self.spots.grain.astype(np.int64) if owner is None else owner
        return resolve_mosaic(self.model(replace(CONE, **cone)), self.pieces, owner, 1)

    def angles(self, u: Array) -> Array:
        return misorientation(*map(quaternions_from_matrices, (u, self.parents)), CUBIC)


@pytest.fixture(scope="module", params=[0.0, 1.5], ids=["upright", "wedge"])
def broken(request: pytest.FixtureRequest) -> Broken:
    return Broken(Experiment(wedge=request.param))


def test_pieces_become_their_crystals(broken: Broken) -> None:
    leader, family, fit = broken.resolved()
    assert family.tolist() == broken.of.tolist() and broken.of[leader].tolist() == [0, 1] and fit.solved.all()
    assert np.abs(fit.crystals.position - broken.positions).max() < 3.0
    assert broken.angles(fit.crystals.u).max() < 0.02
    assert np.abs(fit.crystals.cell / broken.cells - 1).max() < 3e-5
    # All spots of all pieces, each once, with the grain that it is from
    assert np.array_equal(np.sort(fit.fragments.spot), np.arange(len(broken.spots)))
    crystal = fit.fragments.crystal[fit.fragments.combined]
    assert (crystal == broken.of[broken.spots.grain[fit.fragments.spot]]).all()
    hkl = broken.experiment.reflections()[0][:, fit.fragments.hkl[fit.fragments.combined]]
    assert (hkl == broken.spots.hkl[:, fit.fragments.spot]).all()
    assert (fit.fragments.branch[fit.fragments.combined] == broken.spots.branch[fit.fragments.spot]).all()


def test_the_spread_is_that_of_the_pieces(broken: Broken) -> None:
    *_, fit = broken.resolved()
    for found, rotations in zip(spread(broken.model().spots, fit.fragments, 2), broken.rotations, strict=True):
        variances = np.linalg.eigvalsh(np.cov(rotations.T, bias=True))[::-1]
        expected = [np.sqrt(variances.sum()), *(np.sqrt(8 * np.log(2) * variances))]
        np.testing.assert_allclose(found, expected, atol=0.05)


def test_one_piece_that_owns_nothing_of_the_others_gathers_them(broken: Broken) -> None:
    owner = np.where(broken.spots.grain % 8 == 3, broken.spots.grain, -1).astype(np.int64)
    chosen = np.array([3, 11])
    pieces = broken.pieces.take(chosen)
    owner[owner >= 0] //= 8
    leader, family, fit = resolve_mosaic(broken.model(), pieces, owner, 1)
    assert leader.tolist() == family.tolist() == [0, 1]
    assert len(fit.fragments.spot) > 0.98 * len(broken.spots)
    assert np.abs(fit.crystals.position - broken.positions).max() < 5.0


def test_a_smaller_gap_and_the_spots_of_others_end_a_spot(broken: Broken) -> None:
    everything = len(broken.resolved()[2].fragments.spot)
    assert len(broken.resolved(gap=0.1)[2].fragments.spot) < 0.7 * everything
    # Too far across the ring for any
    leader, family, fit = broken.resolved(radial=0.0)
    assert len(fit.fragments.spot) == 0 and not fit.solved.any() and len(leader) == 2
    np.testing.assert_array_equal(fit.crystals.position, broken.pieces.position[leader])


def test_a_tolerance_below_the_distance_of_the_pieces_leaves_them_apart(broken: Broken) -> None:
    leader, family, fit = broken.resolved(tolerance=0.05, gap=0.05)
    assert len(leader) == 16 and family.tolist() == list(range(16))
    assert fit.solved.all() and np.abs(fit.crystals.position - broken.positions[broken.of]).max() < 1.0


def test_families_begin_at_the_mean_of_their_crystals_wherever_the_symmetry_puts_them() -> None:
    u = small_rotation(np.array([10.0, 20.0, -70.0]))
    rotations = np.array([[1.0, 0, 0], [-1.0, 0, 0], [0, 1.5, 0], [40.0, 0, 0]])
    q = quaternions_from_matrices([small_rotation(r) @ u for r in rotations])
    quarter = np.array([np.sqrt(0.5), 0, 0, np.sqrt(0.5)])
    q[1] = quaternion_product(q[1], quarter)
    weights = np.array([3.0, 1.0, 2.0, 5.0])
    means = mean_orientations(q, weights, CUBIC, 2.5)
    expected = quaternions_from_matrices(small_rotation(np.array([2 / 6, 3 / 6, 0])) @ u)
    assert misorientation(means[:3], expected, CUBIC).max() < 0.01
    assert misorientation(means[3], q[3], CUBIC) < 1e-6


def test_a_combined_spot_is_the_weighted_mean_along_the_arc() -> None:
    """Two fragments on both sides of eta and omega of 180 degrees, the third spot elsewhere."""
    eta, radius = np.radians([179.0, -178.0, 30.0]), 5e4
    spots = BrokenSpots(
        -radius * np.sin(eta), radius * np.cos(eta), np.array([179.5, -179.0, 3.0]), np.array([2, 2, 1]),
        np.array([1.0, 2.0, 7.0]), np.array([1.0, 0.1, 1.0]),
    )  # fmt: skip
    none = np.empty((0, 3))
    found = Fragments(np.array([0, 1, 2]), np.array([0, 2, 3]), *(np.zeros(2, np.int64),) * 3, none, none, none)
    combined = combined_spots(spots, found)
    mean = np.radians(-179.0)
    np.testing.assert_allclose(combined.y, [-radius * np.sin(mean), spots.y[2]], atol=1e-6)
    np.testing.assert_allclose(combined.z, [radius * np.cos(mean), spots.z[2]], atol=1e-6)
    np.testing.assert_allclose(combined.omega, [-179.5, 3.0], atol=1e-9)
    np.testing.assert_allclose(combined.certainty, [0.4, 1.0])
    assert combined.intensity.tolist() == [3.0, 7.0] and combined.group.tolist() == [2, 1]
