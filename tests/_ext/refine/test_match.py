"""Which predicted spot an observed one belongs to (docs/theory/refinement.md#match)."""

from __future__ import annotations

import numpy as np
import pytest
from simulated_grains import Grains, lattice_errors, rotation_z, simulate

from midas._ext.physics.region import AcceptedRegion

from .seeds import EXPERIMENT, case, refine, refine_grains, refiner, region


@pytest.mark.parametrize("omega", [0.0, 90.0, -90.0, 180.0, -180.0, 179.9999, 540.0])
def test_spots_at_special_angles_are_kept(omega: float) -> None:
    """Exact frame angles, angles beyond ±180, and the seam between them."""
    grains, spots = case(1)
    turn = rotation_z(spots.omega_recorded[0] - omega)
    start = (turn @ grains.start_orientations[0].reshape(3, 3)).reshape(1, 9)
    turned = Grains(
        turn @ grains.orientations, grains.positions @ turn.T, grains.cells, start, grains.start_positions @ turn.T
    )
    spots.turn(omega - spots.omega_recorded[0])
    result = refine_grains(refiner(EXPERIMENT, spots), turned, spots)
    assert result.counts[0] == len(spots)
    assert lattice_errors(result.solutions, turned)[0].max() < 1e-4
    omegas = result.spots(0)["omega_centred"]
    assert ((omegas > -180) & (omegas <= 180)).all()
    assert result.spots(0)["diff_ome"].max() < 1e-6


def test_a_reflection_with_g_across_the_beam_changes_no_branch() -> None:
    """G·y within 1e-4 of 0, on either side."""
    for tilt in (-1e-5, -1e-9, 0.0, 1e-9, 1e-5):
        u = rotation_z(tilt)
        spots = simulate(EXPERIMENT, u[None], np.array([[50.0, -20.0, 10.0]]), EXPERIMENT.cell[None])
        fit = refiner(EXPERIMENT, spots)
        result = refine(fit, np.eye(3).reshape(1, 9), np.zeros((1, 3)), [spots.of(0)])
        assert result.counts[0] == len(spots)
        assert result.solutions["position"][0] == pytest.approx([50, -20, 10], abs=1e-4)


def test_two_spots_may_claim_one_reflection() -> None:
    grains, spots = case(1)
    rows = np.append(spots.of(0), spots.of(0)[3])
    result = refine(refiner(EXPERIMENT, spots), grains.start_orientations, grains.start_positions, [rows])
    assert result.spots(0)["row"].tolist() == rows.tolist()
    assert lattice_errors(result.solutions, grains)[0].max() < 1e-4


def test_spots_of_rings_not_in_use_are_dropped() -> None:
    grains, spots = case(1)
    unused = spots.group == 2
    spots.group[unused] = -1
    result = refine_grains(refiner(EXPERIMENT, spots), grains, spots)
    assert set(result.spots(0)["row"]) == set(np.flatnonzero(~unused))


def test_spots_are_predicted_only_where_they_can_be_observed() -> None:
    grains, spots = case(1)
    omega, y, z = spots.omega_recorded, spots.y_plane, spots.z_plane

    def kept(limits: AcceptedRegion) -> set[int]:
        return set(refine_grains(refiner(EXPERIMENT, spots, limits=limits), grains, spots).spots(0)["row"])

    ranges = np.array([[-120.0, -30.0], [40.0, 100.0]])
    boxes = np.array([[-1e6, 5e4, -1e6, 1e6], [-1e6, 1e6, -2e4, 1e6]])
    first = (omega > -120) & (omega < -30) & (y < 5e4)
    second = (omega > 40) & (omega < 100) & (z > -2e4)
    # Within the reach of the start's errors the limits may fall on either side.
    near = (
        (np.abs(omega[:, None] - ranges.ravel()) < 0.5).any(axis=1) | (np.abs(y - 5e4) < 900) | (np.abs(z + 2e4) < 900)
    )
    expected = set(np.flatnonzero((first | second) & ~near))
    limited = kept(region(EXPERIMENT, ranges=ranges, boxes=boxes))
    assert expected <= limited <= expected | set(np.flatnonzero(near))
    eta = np.abs(np.degrees(np.arctan2(-y, z)))
    to_pole = np.minimum(eta, 180 - eta)
    clear = np.abs(to_pole - 30) > 1
    beside = kept(region(EXPERIMENT, min_eta=30.0))
    assert {i for i in beside if clear[i]} == set(np.flatnonzero(clear & (to_pole > 30)))


def test_dead_pixels_of_the_mask_drop_spots() -> None:
    grains, spots = case(1)
    side, dead = 2048, 17
    live = np.ones(side * side, bool)
    column, row = (np.floor(c[dead] / 200).astype(int) + side // 2 for c in (spots.y_plane, spots.z_plane))
    live.reshape(side, side)[row - 4 : row + 5, column - 4 : column + 5] = False
    mask = np.packbits(live, bitorder="little").view("<i4").copy()
    limits = region(EXPERIMENT, mask=mask, mask_side=side)
    found = refine_grains(refiner(EXPERIMENT, spots, limits=limits), grains, spots).spots(0)["row"]
    assert set(found) == set(range(len(spots))) - {dead}
