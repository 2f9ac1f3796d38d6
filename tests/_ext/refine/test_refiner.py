"""The fit of position, orientation and cell against exact spots of simulated grains (spec chapter 06)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from simulated_grains import Experiment, Grains, Spots, lattice_errors, reciprocal_basis, rotation_z, simulate

from midas._ext.physics.region import AcceptedRegion
from midas._ext.refine.refiner import NO_VALID_SPOT, NOT_INDEXED, NOTHING_MATCHED, REFINED, Refiner

EXPERIMENT = Experiment()
METHODS = ("joint robust", "staged converged", "staged simplex")
ALL_METHODS = (*METHODS, "cell robust", "cell simplex")


def refiner(experiment: Experiment, spots: Spots, **changes: Any) -> Refiner:
    hkl, first = experiment.reflections()
    if " " in changes.get("method", ""):
        changes["method"], changes["solver"] = changes["method"].split()
    settings: dict[str, Any] = {
        "lsd": experiment.lsd, "wavelength": experiment.wavelength, "wedge": experiment.wedge,
        "cell": experiment.cell, "margin_lengths": 0.048, "margin_angles": 0.048, "r_sample": 2000.0,
        "h_beam": 2000.0, "hkl": hkl, "group_first": first,
        "spots": spots.table, "spot_group": spots.group, "rejected": np.zeros(len(spots.group), np.uint8),
        "sigma_spot": 30.0, "sigma_omega": 0.1, "method": "joint", "solver": "robust", "largest_radius": False,
    }  # fmt: skip
    limits = {"min_eta": experiment.min_eta - 0.5, "ranges": np.array([[-180.0, 180.0]]), "px": 200.0}
    of_region = changes.keys() & {"min_eta", "ranges", "boxes", "mask", "mask_side"}
    limits |= {name: changes.pop(name) for name in of_region}
    limits.setdefault("boxes", np.full((len(limits["ranges"]), 4), [-1e9, 1e9, -1e9, 1e9]))
    return Refiner(region=AcceptedRegion(**limits), **(settings | changes))


class Result(NamedTuple):
    records: NDArray[np.float64]
    fits: NDArray[np.float64]
    offsets: NDArray[np.int64]
    counts: NDArray[np.int32]
    status: NDArray[np.int32]

    def spots(self, row: int) -> NDArray[np.float64]:
        return self.fits[self.offsets[row] : self.offsets[row] + self.counts[row]]


def refine(
    fit: Refiner, seeds: NDArray, lists: list[NDArray[np.int64]], *, threads: int = 1, radii: NDArray | None = None
) -> Result:
    """Refine seeds, each from its list of rows of the spot table."""
    offsets = np.concatenate([[0], np.cumsum([len(rows) for rows in lists])]).astype(np.int64)
    seeds = seeds.copy()
    seeds[:, 13] = seeds[:, 14] = np.diff(offsets)
    n, total = len(lists), int(offsets[-1])
    radii = np.ones(total) if radii is None else radii
    result = Result(np.zeros((n, 27)), np.zeros((total, 22)), offsets, np.zeros(n, np.int32), np.zeros(n, np.int32))
    rows = np.concatenate([*lists, []]).astype(np.int64)
    fit.rows(seeds, offsets, rows, radii, result.records, result.fits, result.counts, result.status, threads)
    return result


def lists_of(spots: Spots, n: int) -> list[NDArray[np.int64]]:
    return [np.flatnonzero(spots.grain == i) for i in range(n)]


def case(n: int = 6, seed: int = 3, experiment: Experiment = EXPERIMENT, **start: float) -> tuple[Grains, Spots]:
    grains = Grains.random(seed, n, experiment, **start)
    return grains, simulate(experiment, grains.orientations, grains.positions, grains.cells)


# Exactness
@pytest.mark.parametrize("wedge", [0.0, 1.0, -1.0])
def test_exact_spots_give_the_exact_grain(wedge: float) -> None:
    experiment = replace(EXPERIMENT, wedge=wedge)
    grains, spots = case(12, experiment=experiment, off=100.0, tilt=0.15)
    result = refine(refiner(experiment, spots), grains.seeds, lists_of(spots, 12))
    position, rotation, strain = lattice_errors(result.records, grains)
    assert (result.status == REFINED).all()
    assert position.max() < 1e-4
    assert np.abs(rotation).max() < 1e-6
    assert np.abs(strain).max() < 1e-8
    assert result.counts.tolist() == [np.count_nonzero(spots.grain == i) for i in range(12)]
    assert result.records[:, 22:25].max() < 1e-4


@pytest.mark.parametrize("solver", ["converged", "simplex"])
def test_the_staged_sequence_comes_close_to_the_exact_grain(solver: str) -> None:
    grains, spots = case(12)
    result = refine(refiner(EXPERIMENT, spots, method="staged", solver=solver), grains.seeds, lists_of(spots, 12))
    position, rotation, strain = lattice_errors(result.records, grains)
    assert np.sqrt((position**2).mean()) < 0.1  # the legacy sequence: 0.04 µm, 5e-4 degrees, 5e-6 (§10.2)
    assert np.sqrt((rotation**2).mean()) < 1e-3
    assert np.sqrt((strain**2).mean()) < 1e-5


def test_few_outliers_do_not_move_the_grain() -> None:
    grains, spots = case(12)
    rng = np.random.default_rng(7)
    wrong = rng.random(spots.table.shape[1]) < 0.05
    angle = rng.uniform(0, 2 * np.pi, wrong.sum())
    spots.table[4:, wrong] += rng.uniform(100, 400, wrong.sum()) * np.array([np.cos(angle), np.sin(angle)])
    result = refine(refiner(EXPERIMENT, spots), grains.seeds, lists_of(spots, 12))
    position, rotation, strain = lattice_errors(result.records, grains)
    assert np.sqrt((position**2).mean()) < 0.5
    assert np.sqrt((rotation**2).mean()) < 1e-3
    assert np.sqrt((strain**2).mean()) < 5e-6


def test_noise_gives_errors_of_the_expected_size() -> None:
    """§10.2: 8 µm and 0.02 degrees give 1.65 µm, 0.0020 degrees, 8.2e-6 with epsilon 0.1."""
    grains, spots = case(40, seed=5)
    rng = np.random.default_rng(8)
    spots.table[4:] += 8 * rng.standard_normal((2, spots.table.shape[1]))
    spots.table[2:4] += 0.02 * rng.standard_normal(spots.table.shape[1])
    position, rotation, strain = lattice_errors(
        refine(refiner(EXPERIMENT, spots), grains.seeds, lists_of(spots, 40)).records, grains
    )
    assert np.sqrt((position**2).mean()) < 1.25 * 1.65
    assert np.sqrt((rotation**2).sum(axis=1).mean()) < 1.25 * 0.0020
    assert np.sqrt((strain**2).mean()) < 1.25 * 8.2e-6


def test_omegas_of_single_frames_give_the_middle_of_the_frame() -> None:
    """Uniform scatter: the mean of n omegas is good to step / sqrt(12 n), the median only to step / (2 sqrt(n))."""
    grains, spots = case(40, seed=6)
    spots.table[2:4] += np.random.default_rng(9).uniform(-0.25, 0.25, spots.table.shape[1])
    position, rotation, strain = lattice_errors(
        refine(refiner(EXPERIMENT, spots), grains.seeds, lists_of(spots, 40)).records, grains
    )
    n = spots.table.shape[1] / 40
    assert np.sqrt((rotation[:, 2] ** 2).mean()) < 1.3 * 0.5 / np.sqrt(12 * n)
    assert np.abs(rotation[:, :2]).max() < 1e-3
    assert np.median(position) < 0.1
    assert np.sqrt((strain**2).mean()) < 2e-6


# Derivatives
@pytest.mark.parametrize("wedge", [0.0, 0.3])
@pytest.mark.parametrize("euler", [False, True])
@pytest.mark.parametrize("objective", ["spot and omega", "spot", "direction"])
def test_derivatives(objective: str, euler: bool, wedge: float) -> None:
    experiment = replace(EXPERIMENT, wedge=wedge)
    grains, spots = case(1, seed=4, experiment=experiment)
    fit = refiner(experiment, spots)
    rows = lists_of(spots, 1)[0]
    angles = _euler(grains.orientations[0]) if euler else np.array([0.3, -0.2, 0.5])
    x = np.concatenate([grains.positions[0] + 5.0, angles, grains.cells[0] * 1.0002])
    base = grains.orientations[0].ravel()
    at, slopes = fit.linearised(base, x, rows, objective, euler)
    assert at.shape[1] == len(rows)
    steps = np.array([0.1, 0.1, 0.1, 1e-4, 1e-4, 1e-4, 1e-5, 1e-5, 1e-5, 1e-4, 1e-4, 1e-4])
    for k in range(12):
        difference = np.zeros_like(at)
        for sign in (1, -1):
            moved = x.copy()
            moved[k] += sign * steps[k]
            difference += sign * fit.linearised(base, moved, rows, objective, euler)[0] / (2 * steps[k])
        if objective == "spot":
            difference[2] = 0.0  # not a residual
        # With a wedge its omega correction is taken as constant (§10.3).
        limit = (2e-7 if wedge == 0 else 2e-3) * np.abs(slopes[k]).max() + 1e-6
        if objective != "direction" or k >= 3:  # there the position is fixed
            assert np.abs(slopes[k] - difference).max() < limit, k


def _euler(u: NDArray) -> NDArray:
    return np.degrees([np.arctan2(u[0, 2], -u[1, 2]), np.arccos(u[2, 2]), np.arctan2(u[2, 0], u[2, 1])])


# What is written
def test_spot_records_follow_from_the_grain_record() -> None:
    """§11: columns 1-12 and 19-21 recomputed from the record, the spots and the hkl list alone."""
    experiment = replace(EXPERIMENT, wedge=0.2)
    grains, spots = case(3, experiment=experiment)
    rng = np.random.default_rng(2)
    spots.table[4:] += 10 * rng.standard_normal((2, spots.table.shape[1]))
    spots.table[2:4] += 0.05 * rng.standard_normal(spots.table.shape[1])
    result = refine(refiner(experiment, spots), grains.seeds, lists_of(spots, 3))
    for row in range(3):
        record, fits = result.records[row], result.spots(row)
        u = record[1:10].reshape(3, 3)
        assert np.abs(u @ u.T - np.eye(3)).max() < 1e-12
        fitted = simulate(experiment, u[None], np.zeros((1, 3)), record[None, 15:21])
        for spot in fits:
            source = int(spot[0]) - 1
            partner = np.flatnonzero(
                (fitted.hkl == spots.hkl[:, source, None]).all(axis=0) & (fitted.branch == spots.branch[source])
            )[0]
            assert spot[7:9] == pytest.approx(fitted.table[4:, partner], abs=1e-6)
            assert spot[9] == pytest.approx(fitted.table[2, partner], abs=1e-9)
            g = u @ reciprocal_basis(record[15:21]) @ spots.hkl[:, source]
            assert spot[10:13] == pytest.approx(g / (g @ g), abs=1e-9)
            assert spot[1:7] == pytest.approx(_corrected(experiment, spots.table[:, source], record[11:14]), abs=1e-6)
            assert spot[13:16].tolist() == spots.table[:3, source].tolist()
            assert spot[16:19].tolist() == spots.table[3:, source].tolist()
            angle = np.degrees(np.arccos(min(1.0, spot[4:7] @ g / np.linalg.norm(g))))
            assert spot[19:22] == pytest.approx(
                [angle, np.hypot(spot[1] - spot[7], spot[2] - spot[8]), abs(spot[3] - spot[9])], abs=1e-6
            )
        assert record[22:25] == pytest.approx(fits[:, [20, 21, 19]].mean(axis=0), abs=1e-9)
        assert np.linalg.norm(fits[:, 4:7], axis=1) == pytest.approx(1, abs=1e-12)


def _corrected(experiment: Experiment, spot: NDArray, position: NDArray) -> list[float]:
    """y', z', omega' and the observed direction of §4.4, with the trigonometry written out."""
    wedge, lsd = np.radians(experiment.wedge), experiment.lsd
    x, y, z = rotation_z(spot[3]) @ position
    x, z = x * np.cos(wedge) - z * np.sin(wedge), x * np.sin(wedge) + z * np.cos(wedge)
    y, z = lsd * (spot[4] - y) / (lsd - x), lsd * (spot[5] - z) / (lsd - x)
    theta, eta = np.arctan(np.hypot(y, z) / lsd) / 2, np.arctan2(-y, z)
    k = np.array([-np.sin(theta), -np.cos(theta) * np.sin(eta), np.cos(theta) * np.cos(eta)])
    q = np.array([k[0] * np.cos(wedge) + k[2] * np.sin(wedge), k[1], k[2] * np.cos(wedge) - k[0] * np.sin(wedge)])
    g = rotation_z(-spot[3]) @ q
    e = np.sign(y) * np.sqrt(g[0] ** 2 + g[1] ** 2 - np.sin(theta) ** 2)
    omega = np.degrees(np.arctan2(g[1] * np.sin(theta) + g[0] * e, -g[0] * np.sin(theta) + g[1] * e))
    return [y, z, omega, *(rotation_z(-omega) @ k)]


def test_radius_is_the_mean_or_largest_without_rejected_rings() -> None:
    grains, spots = case(1)
    rows = lists_of(spots, 1)
    radii = np.linspace(5, 50, len(rows[0]))
    kept = spots.group != 1

    def radius(**changes: Any) -> float:
        return refine(refiner(EXPERIMENT, spots, **changes), grains.seeds, rows, radii=radii).records[0, 25]

    rejected = (~kept).astype(np.uint8)
    assert radius() == pytest.approx(radii.mean(), abs=1e-9)
    assert radius(largest_radius=True) == radii.max()
    assert radius(rejected=rejected) == pytest.approx(radii[kept].mean(), abs=1e-9)
    assert radius(rejected=rejected, largest_radius=True) == radii[kept].max()
    assert radius(rejected=np.ones_like(rejected)) == 0.0


# Rows and threads
@pytest.mark.parametrize("method", METHODS)
def test_threads_and_neighbours_do_not_change_a_row(method: str) -> None:
    grains, spots = case(8)
    spots.table[4:] += 10 * np.random.default_rng(1).standard_normal((2, spots.table.shape[1]))
    fit, lists = refiner(EXPERIMENT, spots, method=method), lists_of(spots, 8)
    one, *others = (refine(fit, grains.seeds, lists, threads=t) for t in (1, 2, 4))
    for other in others:
        assert all(a.tobytes() == b.tobytes() for a, b in zip(one, other, strict=True))
    for row in range(8):
        alone = refine(fit, grains.seeds[row : row + 1], lists[row : row + 1])
        assert alone.records[0].tobytes() == one.records[row].tobytes()
        assert alone.fits.tobytes() == one.spots(row).tobytes()


@pytest.mark.parametrize("empty", [0, 2, 5])
def test_a_row_without_spots_has_no_result(empty: int) -> None:
    grains, spots = case(6)
    lists = lists_of(spots, 6)
    lists[empty] = np.empty(0, np.int64)
    result = refine(refiner(EXPERIMENT, spots), grains.seeds, lists)
    assert result.status.tolist() == [NOT_INDEXED if row == empty else REFINED for row in range(6)]
    assert result.counts[empty] == 0
    assert not refine(refiner(EXPERIMENT, spots), grains.seeds[:1], [np.empty(0, np.int64)]).counts.any()


@pytest.mark.parametrize("method", ALL_METHODS)
def test_rows_that_cannot_be_refined(method: str) -> None:
    grains, spots = case(3)
    lists = lists_of(spots, 3)
    lists[0][:] = -1
    grains.seeds[1, 1:10] = (rotation_z(20) @ grains.orientations[1]).ravel()
    lists[2][:5] = -1
    result = refine(refiner(EXPERIMENT, spots, method=method), grains.seeds, lists)
    assert result.status.tolist() == [NO_VALID_SPOT, NOTHING_MATCHED, REFINED]
    assert result.counts.tolist() == [0, 0, len(lists[2]) - 5]


def test_spots_of_rings_not_in_use_are_dropped() -> None:
    grains, spots = case(1)
    unused = spots.group == 2
    spots.group[unused] = -1
    result = refine(refiner(EXPERIMENT, spots), grains.seeds, lists_of(spots, 1))
    assert set(result.spots(0)[:, 0]) == set(np.flatnonzero(~unused) + 1.0)


# Bounds
@pytest.mark.parametrize("method", METHODS)
@given(count=st.integers(1, 5), seed=st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_few_spots_stay_finite_and_inside_the_bounds(method: str, count: int, seed: int) -> None:
    grains, spots = case(1)
    chosen = np.sort(np.random.default_rng(seed).choice(spots.table.shape[1], count, replace=False))
    fit = refiner(EXPERIMENT, spots, method=method, r_sample=300.0, h_beam=500.0)
    result = refine(fit, grains.seeds, [chosen])
    record = result.records[0]
    assert result.status[0] == REFINED
    assert np.isfinite(record).all()
    assert (np.abs(record[11:13]) <= 300).all()
    assert abs(record[13]) <= 250
    assert (np.abs(record[15:21] / EXPERIMENT.cell - 1) <= 0.048 + 1e-12).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_start_outside_the_sample_is_moved_into_it(method: str) -> None:
    grains, spots = case(1)
    grains.seeds[0, 13 - 1] = 390.0
    fit = refiner(EXPERIMENT, spots, method=method, r_sample=1000.0, h_beam=700.0)
    record = refine(fit, grains.seeds, lists_of(spots, 1)).records[0]
    assert abs(record[13]) <= 350
    assert np.linalg.norm(record[11:14] - grains.positions[0]) < 5


@pytest.mark.parametrize("method", METHODS)
def test_a_cell_without_margin_stays(method: str) -> None:
    grains, spots = case(1, strain=0.0)
    fit = refiner(EXPERIMENT, spots, method=method, margin_lengths=0.0, margin_angles=0.0)
    record = refine(fit, grains.seeds, lists_of(spots, 1)).records[0]
    assert record[15:21].tolist() == EXPERIMENT.cell.tolist()
    assert np.linalg.norm(record[11:14] - grains.positions[0]) < (1e-4 if method == "joint robust" else 0.1)


def test_tracking_keeps_position_and_matrix_and_fits_the_cell() -> None:
    grains, spots = case(4)
    grains.seeds[:, 1:10] = grains.orientations.reshape(-1, 9).round(6)
    grains.seeds[:, 10:13] = grains.positions
    result = refine(refiner(EXPERIMENT, spots, method="cell"), grains.seeds, lists_of(spots, 4))
    assert (result.records[:, 1:10] == grains.seeds[:, 1:10]).all()
    assert (result.records[:, 11:14] == grains.positions).all()
    assert np.abs(result.records[:, 15:21] / grains.cells - 1).max() < 5e-6


@pytest.mark.parametrize(
    "angles", [(0, 0, 0), (30, 0, 20), (10, 180, 0), (180, 180, 180), (0, 90, 180), (1e-7, 1e-7, 0)]
)
@pytest.mark.parametrize("method", ALL_METHODS)
def test_rounded_matrices_near_the_poles_of_the_euler_angles(method: str, angles: tuple[float, float, float]) -> None:
    """Defect D9: a cosine of -1.0000004, or one whose angle turns by 180 degrees."""
    psi, phi, theta = angles
    c, s = np.cos(np.radians(phi)), np.sin(np.radians(phi))
    u = rotation_z(psi) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ rotation_z(theta)
    rounded = u.round(6) + 4e-7 * np.sign(u)
    cell = EXPERIMENT.cell * 1.0005
    spots = simulate(EXPERIMENT, u[None], np.zeros((1, 3)), cell[None])
    seeds = np.concatenate([[0], rounded.ravel(), np.zeros(5)])[None]
    record = refine(refiner(EXPERIMENT, spots, method=method), seeds, lists_of(spots, 1)).records[0]
    # The legacy simplex stops where its own tolerance lets it.
    slack = 20 if method.endswith("simplex") else 1
    assert record[1:10] == pytest.approx(u.ravel(), abs=slack * 1e-5)
    assert record[15:21] / cell == pytest.approx(1, abs=slack * 2e-5)


# Matching
@pytest.mark.parametrize("omega", [0.0, 90.0, -90.0, 180.0, -180.0, 179.9999, 540.0])
def test_spots_at_special_angles_are_kept(omega: float) -> None:
    """Defects D4 and D18: exact frame angles, angles beyond ±180, and the seam between them."""
    grains, spots = case(1)
    turn = rotation_z(spots.table[3, 0] - omega)
    turned = Grains(turn @ grains.orientations, grains.positions @ turn.T, grains.cells, grains.seeds.copy())
    turned.seeds[0, 1:10] = (turn @ grains.seeds[0, 1:10].reshape(3, 3)).ravel()
    turned.seeds[0, 10:13] = turn @ grains.seeds[0, 10:13]
    spots.table[2:4] += omega - spots.table[3, 0]
    result = refine(refiner(EXPERIMENT, spots, ranges=np.array([[-180.0, 180.0]])),
                    turned.seeds, lists_of(spots, 1))  # fmt: skip
    assert result.counts[0] == spots.table.shape[1]
    assert lattice_errors(result.records, turned)[0].max() < 1e-4
    omegas = result.spots(0)[:, 3]
    assert ((omegas > -180) & (omegas <= 180)).all()
    assert result.spots(0)[:, 21].max() < 1e-6


def test_a_reflection_with_g_across_the_beam_changes_no_branch() -> None:
    """Defects D6 and D7: G·y within 1e-4 of 0, on either side."""
    for tilt in (-1e-5, -1e-9, 0.0, 1e-9, 1e-5):
        u = rotation_z(tilt)
        spots = simulate(EXPERIMENT, u[None], np.array([[50.0, -20.0, 10.0]]), EXPERIMENT.cell[None])
        seeds = np.concatenate([[0], np.eye(3).ravel(), [0, 0, 0, 1, 1]])[None]
        result = refine(refiner(EXPERIMENT, spots), seeds, lists_of(spots, 1))
        assert result.counts[0] == spots.table.shape[1]
        assert result.records[0, 11:14] == pytest.approx([50, -20, 10], abs=1e-4)


def test_two_spots_may_claim_one_reflection() -> None:
    grains, spots = case(1)
    rows = lists_of(spots, 1)[0]
    rows = np.concatenate([rows, rows[3:4]])
    result = refine(refiner(EXPERIMENT, spots), grains.seeds, [rows])
    assert result.spots(0)[:, 0].tolist() == (rows + 1.0).tolist()
    assert lattice_errors(result.records, grains)[0].max() < 1e-4


def test_spots_are_predicted_only_where_they_can_be_observed() -> None:
    grains, spots = case(1)
    rows = lists_of(spots, 1)
    omega, y, z = spots.table[3], spots.table[4], spots.table[5]

    def kept(**changes: Any) -> set[int]:
        return set(refine(refiner(EXPERIMENT, spots, **changes), grains.seeds, rows).spots(0)[:, 0].astype(int) - 1)

    ranges = np.array([[-120.0, -30.0], [40.0, 100.0]])
    boxes = np.array([[-1e6, 5e4, -1e6, 1e6], [-1e6, 1e6, -2e4, 1e6]])
    first = (omega > -120) & (omega < -30) & (y < 5e4)
    second = (omega > 40) & (omega < 100) & (z > -2e4)
    # Within the reach of the start's errors the limits may fall on either side.
    near = (
        (np.abs(omega[:, None] - ranges.ravel()) < 0.5).any(axis=1) | (np.abs(y - 5e4) < 900) | (np.abs(z + 2e4) < 900)
    )
    expected = set(np.flatnonzero((first | second) & ~near))
    assert expected <= kept(ranges=ranges, boxes=boxes) <= expected | set(np.flatnonzero(near))
    eta = np.abs(np.degrees(np.arctan2(-y, z)))
    clear = (np.minimum(eta, 180 - eta) > 31) | (np.minimum(eta, 180 - eta) < 29)
    assert {i for i in kept(min_eta=30.0) if clear[i]} == set(np.flatnonzero(clear & (np.minimum(eta, 180 - eta) > 30)))


def test_dead_pixels_of_the_mask_drop_spots() -> None:
    grains, spots = case(1)
    rows, side = lists_of(spots, 1), 2048
    dead = 17
    live = np.ones(side * side, bool)
    column, row = (np.floor(spots.table[k, dead] / 200).astype(int) + side // 2 for k in (4, 5))
    live.reshape(side, side)[row - 4 : row + 5, column - 4 : column + 5] = False
    mask = np.packbits(live, bitorder="little").view("<i4").copy()
    found = refine(refiner(EXPERIMENT, spots, mask=mask, mask_side=side), grains.seeds, rows).spots(0)[:, 0]
    assert set(found) == set(range(1, spots.table.shape[1] + 1)) - {dead + 1}


# Mistakes of the caller
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cell": np.ones(5)}, "wrong shape"),
        ({"rejected": np.zeros(3, np.uint8)}, "one entry per spot"),
        ({"group_first": np.array([0, 5], np.int32)}, "in a group"),
        ({"spot_group": None}, "does not exist"),
    ],
)
def test_inconsistent_arrays_are_refused(changes: dict[str, Any], message: str) -> None:
    _, spots = case(1)
    if "spot_group" in changes:
        changes = {"spot_group": np.full(len(spots.group), 9, np.int32)}
    with pytest.raises(ValueError, match=message):
        refiner(EXPERIMENT, spots, **changes)


def test_rows_outside_the_arrays_are_refused() -> None:
    grains, spots = case(1)
    with pytest.raises(ValueError, match="beyond the spot table"):
        refine(refiner(EXPERIMENT, spots), grains.seeds, [np.array([10**6])])
