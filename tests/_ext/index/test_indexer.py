"""The search against a literal, slow implementation on random scenes, and its parts on their own."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from midas._ext.index.indexer import Indexer
from midas._ext.index.table import SpotTable
from midas._ext.physics.region import AcceptedRegion
from midas.experiment.orientation import matrices_from_quaternions

from .reference import DEVIATION, ETA, OMEGA, RADIUS, Reference, Y, Z, eta_of, wrap

UNLIMITED = np.array([[-math.inf, math.inf] * 3])
LSD = 1e6
RADII = np.array([94949.402022, 109761.671955])
TWO_THETA = np.array([5.423939, 6.263806])
HKL = np.array(
    [[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]
    + [[2 * s * (i == axis) for i in range(3)] for axis in range(3) for s in (-1, 1)]
)
HKL_RING = np.array([0] * 8 + [1] * 6, np.int32)


def settings_of(**changes: Any) -> dict[str, Any]:
    """Keyword arguments of `Indexer` for two rings of a face-centred crystal with coarse steps."""
    return {
        "radii": RADII, "two_theta": TWO_THETA, "rotation_range": np.array([120.0, 90.0]),
        "ring_g": HKL[[7, 13]] / 4.08, "excluded": np.array([False, False]), "g": HKL / 4.08,
        "theta": TWO_THETA[HKL_RING] / 2, "hkl_ring": HKL_RING, "limits": UNLIMITED, "lsd": LSD, "wedge": 0.0,
        "exact_wedge": True, "r_sample": 600.0,
        "h_beam": 600.0, "position_step": 250.0, "orientation_step": 3.0, "margin_omega": 1.0, "margin_eta": 900.0,
        "margin_radius": 40.0, "margin_radial": 400.0, "pole_angle": 6.0, "min_completeness": 0.3, "friedel": True,
        **changes,
    }  # fmt: skip


def random_rotation(rng: np.random.Generator) -> NDArray[np.float64]:
    q = rng.normal(size=4)
    return matrices_from_quaternions(q / np.linalg.norm(q))


def scene(
    seed: int, settings: dict[str, Any], *, grains: int = 5, noise: int = 120, omega_bin: float = 0.1
) -> Reference:
    """Spots of some grains, jittered and incomplete, among random ones."""
    rng = np.random.default_rng(seed)
    empty = Reference(
        np.empty((0, 6)), np.empty(0, int), {**settings, "limits": UNLIMITED, "pole_angle": 0.5}, omega_bin
    )
    rows, rings = [], []
    for _ in range(grains):
        position = rng.uniform(-300, 300, 3)
        radius = rng.uniform(80, 120)
        for y0, z0, omega, ring in empty.predict(random_rotation(rng)):
            if rng.random() < 0.85:
                y, z = empty.displace(y0, z0, omega, position)
                y, z = y + rng.normal(0, 60), z + rng.normal(0, 60)
                rows.append([y, z, float(wrap(omega + rng.normal(0, 0.1))), radius + rng.normal(0, 8)])
                rings.append(ring)
    for _ in range(noise):
        ring, eta = int(rng.integers(2)), rng.uniform(-180, 180)
        radius = RADII[ring] + rng.uniform(-700, 700)
        y, z = -radius * math.sin(math.radians(eta)), radius * math.cos(math.radians(eta))
        rows.append([y, z, rng.uniform(-180, 180), rng.uniform(60, 140)])
        rings.append(ring)
    spots = np.array(rows)
    order = np.lexsort((spots[:, OMEGA], rings))
    spots, spot_ring = spots[order], np.array(rings)[order]
    deviation = np.hypot(spots[:, Y], spots[:, Z]) - RADII[spot_ring]
    spots = np.column_stack([spots, eta_of(spots[:, Y], spots[:, Z]), deviation])
    spot_ring[rng.integers(len(spots), size=3)] = -1  # rejected ones keep their rows
    return Reference(spots, spot_ring, settings, omega_bin)


def table_of(reference: Reference) -> SpotTable:
    columns = [np.ascontiguousarray(reference.spots[:, i]) for i in (Y, Z, OMEGA, ETA, RADIUS, DEVIATION)]
    return SpotTable(
        *columns, reference.spot_ring.astype(np.int32), n_rings=len(reference.radii), omega_bin=reference.omega_bin,
        margin_omega=reference.margin_omega, orientation_step=reference.orientation_step,
    )  # fmt: skip


def indexer_of(reference: Reference, **more: Any) -> Indexer:
    return Indexer(table_of(reference), **with_region({**reference.settings, **more}))


def with_region(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of the indexer: limits, poles and mask of the settings make its region."""
    limits = np.nan_to_num(values["limits"], posinf=1e9, neginf=-1e9)
    region = AcceptedRegion(
        min_eta=values["pole_angle"],
        ranges=np.ascontiguousarray(limits[:, :2]),
        boxes=np.ascontiguousarray(limits[:, 2:]),
        **{name: values[name] for name in ("mask", "mask_side", "px") if name in values},
    )
    others = {name: value for name, value in values.items() if name not in ("limits", "pole_angle")}
    return {**{name: others[name] for name in others if name not in ("mask", "mask_side", "px")}, "region": region}


def compare(reference: Reference, rows: NDArray[np.int64], *, ties: bool = False) -> int:
    """Assert that kernel and reference choose the same candidate for every row; the number of results.

    `ties`: orientations that are equal by the crystal's symmetry compete, and rounding chooses among them.
    """
    best, offsets, matched = indexer_of(reference).search(rows)
    found = 0
    for i, row in enumerate(rows):
        expected = reference.search(row)
        got = matched[offsets[i] : offsets[i + 1]]
        if expected is None:
            assert best["expected"][i] == 0 and len(got) == 0, row
            continue
        found += 1
        _, angle, orientation, position, predicted, expected_rows = expected
        if ties:
            orientation = orientation @ np.round(orientation.T @ best["orientation"][i].reshape(3, 3))
            got, expected_rows = np.sort(got), np.sort(expected_rows)
        assert best["internal_angle"][i] == pytest.approx(angle, abs=1e-6)
        np.testing.assert_allclose(best["orientation"][i], orientation.ravel(), rtol=0, atol=1e-9, err_msg=f"row {row}")
        np.testing.assert_allclose(best["position"][i], position, rtol=0, atol=1e-6)
        assert best[["expected", "matched"]][i].tolist() == (predicted, len(expected_rows))
        np.testing.assert_array_equal(got, expected_rows)
    return found


def start_rows(reference: Reference, seed: int, n: int) -> NDArray[np.int64]:
    return np.sort(np.random.default_rng(seed).choice(len(reference.spots), n, replace=False))


TWO_WINDOWS = np.array([[-170, 20, -9e4, 1e5, -8e4, 9e4], [10, 150, -2e5, 5e4, -1e5, 2e5]], float)
ACROSS_THE_SEAM = np.array([[100, 250, -2e5, 2e5, -2e5, 2e5], [-70, 20, -9e4, 1e5, -8e4, 9e4]], float)
VARIANTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "excluded ring": {"excluded": np.array([True, False]), "margin_radius": 15.0},
    "two windows": {"limits": TWO_WINDOWS},
    "across the seam": {"limits": ACROSS_THE_SEAM},
    "poles in use": {"pole_angle": 0.0},
    "wide poles": {"pole_angle": 35.0, "min_completeness": 0.4},
    "thin beam": {"h_beam": 90.0, "position_step": 133.7},
    "tight": {"margin_radial": 150.0, "margin_eta": 300.0, "min_completeness": 0.05},
    "whole turn": {"rotation_range": np.array([360.0, 360.0]), "orientation_step": 6.0},
    "large sample": {"r_sample": 3000.0, "h_beam": 4000.0, "position_step": 900.0, "margin_radial": 900.0},
    "leaning axis": {"wedge": 2.0, "limits": TWO_WINDOWS},
    "leaning and wide poles": {"wedge": -3.0, "pole_angle": 20.0, "min_completeness": 0.4},
    "tilted detector": {"tilts": (3.0, 25.0, -40.0), "limits": TWO_WINDOWS},
    "tilted, tight": {"tilts": (90.0, -50.0, 20.0), "margin_radial": 150.0, "margin_eta": 300.0},
    "anything goes": {"min_completeness": 0.0, "margin_eta": 3000.0},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_pair_mode_equals_the_literal_search(name):
    seed = list(VARIANTS).index(name)
    reference = scene(seed, settings_of(**VARIANTS[name]))
    assert compare(reference, start_rows(reference, seed, 12), ties=name == "whole turn") >= 2


@pytest.mark.parametrize("name", VARIANTS)
def test_full_mode_equals_the_literal_search(name):
    seed = 100 + list(VARIANTS).index(name)
    reference = scene(seed, settings_of(friedel=False, **VARIANTS[name]), noise=60)
    assert compare(reference, start_rows(reference, seed, 3), ties=name == "whole turn") >= 1


@pytest.mark.parametrize("omega_bin", [0.7, 7.0, 100.0])
def test_bins_that_do_not_fill_the_turn(omega_bin: float) -> None:
    reference = scene(21, settings_of(), omega_bin=omega_bin)
    assert compare(reference, start_rows(reference, 21, 8)) >= 2


def test_fine_bins() -> None:
    """The legacy program numbers those of all rings with 32 bits, which fine ones overflow."""
    reference = scene(22, settings_of(), omega_bin=0.02)
    assert compare(reference, start_rows(reference, 22, 8)) >= 2


def test_more_orientations_than_the_legacy_table_holds() -> None:
    """40,000, of which it had room for 36,000: none is left out, so that no seed finds less than with every tenth."""
    turn = {"rotation_range": np.array([360.0, 360.0]), "orientation_step": 0.09}
    settings = settings_of(friedel=False, position_step=500.0, **turn)
    reference = scene(23, settings, grains=2)
    rows = np.flatnonzero(reference.spot_ring == 0)[:30]
    few, many = (indexer_of(reference, orientation_step=step).search(rows)[0] for step in (0.09, 0.009))
    assert np.count_nonzero(few["matched"]) >= 5
    share = [best["matched"] / np.maximum(best["expected"], 1) for best in (few, many)]
    assert (share[1] >= share[0]).all()


def test_full_mode_skips_points_where_little_matches():
    reference = scene(7, settings_of(friedel=False, position_step=100.0, orientation_step=6.0), grains=1, noise=40)
    rows = start_rows(reference, 7, 4)
    assert compare(reference, rows)
    assert sum(reference.visited[row] < len(reference.full_points(row)) for row in rows) >= 2


def test_without_mates_the_other_omega_serves():
    reference = scene(3, settings_of(margin_omega=1.5, margin_eta=1500.0), grains=4, noise=10)
    keep = reference.spots[:, OMEGA] < 0
    half = Reference(reference.spots[keep], reference.spot_ring[keep], reference.settings, 0.1)
    rows = np.array([row for row in range(len(half.spots)) if half.spot_ring[row] >= 0])
    mixed = np.array([row for row in rows if not half.friedel_points(row) and half.mixed_points(row)])
    assert len(mixed) >= 5
    assert compare(half, mixed[:8]) >= 2
    alone = Reference(half.spots[mixed[:1]], half.spot_ring[mixed[:1]], half.settings, 0.1)
    assert compare(alone, np.array([0])) == 0


@pytest.mark.parametrize("turn", [170.0, 179.9])
def test_differences_wrap_at_half_a_turn(turn):
    """Turning sample and start angle together moves nothing but the seam of omega."""
    reference = scene(11, settings_of(), noise=20)
    rows = start_rows(reference, 11, 20)
    turned = Reference(reference.spots.copy(), reference.spot_ring, reference.settings, 0.1)
    turned.spots[:, OMEGA] = wrap(turned.spots[:, OMEGA] + turn)
    turned.__post_init__()
    compare(turned, rows[:6])
    best, *_ = indexer_of(reference).search(rows)
    again, *_ = indexer_of(turned).search(rows)
    found = best["matched"] > 0
    assert found.any()
    assert (found == (again["matched"] > 0)).mean() > 0.9  # bins move with the seam, so a match on a bin's edge may go


@pytest.mark.parametrize("friedel", [True, False])
def test_exact_counting_gives_the_same_bytes(friedel):
    reference = scene(5, settings_of(friedel=friedel))
    rows = start_rows(reference, 5, 30 if friedel else 5)
    usual = indexer_of(reference).search(rows)
    exact = indexer_of(reference, guard=10.0).search(rows)
    for a, b in zip(usual, exact, strict=True):
        assert a.tobytes() == b.tobytes()


def test_threads_do_not_change_a_byte():
    reference = scene(6, settings_of())
    rows = np.arange(len(reference.spots))
    one = indexer_of(reference).search(rows, threads=1)
    for threads in (2, 4):
        for a, b in zip(one, indexer_of(reference).search(rows, threads=threads), strict=True):
            assert a.tobytes() == b.tobytes()


def test_the_mask_drops_what_a_box_would():
    side, px = 1024, 400.0
    pixels = np.zeros((side, side), bool)
    pixels[:, : side // 2] = True  # y < 0
    words = np.packbits(pixels.ravel(), bitorder="little").view("<i4")
    reference = scene(8, settings_of(limits=np.array([[-math.inf, math.inf, -math.inf, 0, -math.inf, math.inf]])))
    rows = np.arange(len(reference.spots))
    boxed = indexer_of(reference).search(rows)
    reference.settings["limits"] = UNLIMITED
    free = indexer_of(reference).search(rows)
    masked = indexer_of(reference, mask=words, mask_side=side, px=px).search(rows)
    assert boxed[0].tobytes() == masked[0].tobytes() != free[0].tobytes()
    small = indexer_of(reference, mask=words[: 64 * 64 // 32], mask_side=64, px=px).search(rows)
    assert not small[0]["matched"].any(), "outside the mask nothing is seen"


def test_invariants_of_the_records():
    reference = scene(9, settings_of())
    rows = np.flatnonzero(reference.spot_ring >= 0)
    best, offsets, matched = indexer_of(reference).search(rows)
    found = np.flatnonzero(best["matched"])
    assert len(found) > 20
    own = 0
    for i in found:
        u, position = best["orientation"][i].reshape(3, 3), best["position"][i]
        np.testing.assert_allclose(u @ u.T, np.eye(3), atol=1e-12)
        assert np.linalg.det(u) == pytest.approx(1, abs=1e-12)
        assert abs(position[2]) <= reference.h_beam / 2
        assert np.hypot(*position[:2]) < reference.r_sample * 1.25 + 20 + reference.position_step
        mine = matched[offsets[i] : offsets[i + 1]]
        assert len(mine) == best["matched"][i] <= best["expected"][i] <= 2 * len(HKL)
        assert best["matched"][i] >= reference.min_completeness * best["expected"][i]
        spots = reference.predict(u)
        again = reference.match(spots, position[None], reference.spots[rows[i], RADIUS])[0]
        np.testing.assert_array_equal(again[again >= 0], mine)
        own += rows[i] in mine
    assert own > 0.9 * len(found)


def test_given_grains_are_matched_without_search():
    reference = scene(10, settings_of())
    rows = np.flatnonzero(reference.spot_ring >= 0)
    best, offsets, matched = indexer_of(reference).search(rows)
    found = np.flatnonzero(best["matched"])[:20]
    radii = reference.spots[rows[found], RADIUS]
    given, given_offsets, given_rows, fractions = indexer_of(reference).evaluate(
        np.ascontiguousarray(best["orientation"][found]),
        np.ascontiguousarray(best["position"][found]),
        radii,
        threads=2,
    )
    assert given.tobytes() == best[found].tobytes()
    for k, i in enumerate(found):
        np.testing.assert_array_equal(
            given_rows[given_offsets[k] : given_offsets[k + 1]], matched[offsets[i] : offsets[i + 1]]
        )
    np.testing.assert_allclose(fractions, (best["matched"] / best["expected"])[found])


def test_opposite_plane_normals_are_turned_half_a_turn():
    """g and normal exactly antiparallel, where no axis is defined: docs/theory/indexing.md#candidate-orientations."""
    settings = settings_of(g=HKL / 4.08)
    spots = np.zeros((1, 6))
    y = 0.0
    z = -RADII[1]
    spots[0] = [y, z, 0.0, 100.0, 180.0, 0.0]
    reference = Reference(
        spots, np.array([1]), {**settings, "friedel": False, "pole_angle": 0.0, "min_completeness": 0.0}, 0.1
    )
    normal = np.array([LSD, y, z]) / math.hypot(LSD, z) - [1, 0, 0]
    reference.settings["ring_g"] = np.vstack([HKL[7] / 4.08, -normal])
    best, *_ = indexer_of(reference).search(np.array([0]))
    u = best["orientation"][0].reshape(3, 3)
    np.testing.assert_allclose(u @ u.T, np.eye(3), atol=1e-12)


def test_a_spot_near_the_pole_is_listed_everywhere():
    columns = [np.array([v]) for v in (-1.0, 94949.0, 10.0, 1e-9, 100.0, 0.0)]
    table = SpotTable(
        *columns, np.array([0], np.int32), n_rings=1, omega_bin=90.0, margin_omega=1.0, orientation_step=0.2
    )
    assert [table.bin_rows(0, k) for k in range(4)] == [[0]] * 4


def test_lists_follow_the_omega_window_around_the_seam():
    columns = [np.full(2, v) for v in (-94949.0, 0.0)]
    table = SpotTable(
        *columns, np.array([179.85, -30.05]), np.full(2, 90.0), np.full(2, 100.0), np.zeros(2), np.zeros(2, np.int32),
        n_rings=1, omega_bin=0.1, margin_omega=0.5, orientation_step=0.2,
    )  # fmt: skip
    listed = [k for k in range(3600) if 0 in table.bin_rows(0, k)]
    assert listed == [0, 1, 2, 3, 4, *range(3592, 3600)]
    assert [k for k in range(3600) if 1 in table.bin_rows(0, k)] == list(range(1493, 1506))


def test_the_last_bin_ends_at_the_seam():
    """515 bins of 0.7 degrees, the last of which is 0.2 wide: the window reaches over it into the one before."""
    columns = [np.full(1, v) for v in (-94949.0, 0.0, -179.95, 90.0, 100.0, 0.0)]
    table = SpotTable(*columns, np.zeros(1, np.int32), n_rings=1, omega_bin=0.7, margin_omega=0.5, orientation_step=0.2)
    assert [k for k in range(515) if table.bin_rows(0, k)] == [0, 513, 514]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position_step": 0.5}, "steps"),
        ({"orientation_step": 0.0}, "steps"),
        ({"theta": np.zeros(3)}, "reflection"),
        ({"excluded": [False]}, "ring"),
        ({"hkl_ring": HKL_RING + 1}, "reflection"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(change, message):
    table = table_of(scene(1, settings_of(), grains=1, noise=5))
    with pytest.raises(ValueError, match=message):
        Indexer(table, **with_region(settings_of(**change)))


def test_rows_beyond_the_table_are_refused():
    reference = scene(1, settings_of(), grains=1, noise=5)
    with pytest.raises(ValueError, match="beyond"):
        indexer_of(reference).search(np.array([len(reference.spots)]))
    best, offsets, matched = indexer_of(reference).search(np.array([-1]))
    assert not any(best.tobytes()) and list(offsets) == [0, 0] and len(matched) == 0
