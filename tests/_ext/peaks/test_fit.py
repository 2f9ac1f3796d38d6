"""Fits of single regions: known results, internal consistency, and the places where the legacy fit went wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from peak_regions import regions_of
from scipy.optimize import least_squares

from midas._ext.peaks.fit import solve_regions
from midas._ext.peaks.frame_regions import Regions
from midas._ext.peaks.result import FITTED_PEAK

DEG = 57.2957795130823
NO_PANELS = np.empty((0, 8))
SINGLE = np.loadtxt(Path(__file__).parents[2] / "data" / "single_peak.txt", dtype=int)
ROW = (
    "49446.502274 1403.587911 1855.904325 7880.712824 917.063661 24.588451 0.999905 0.062468 42 42 1 1404 1856 "
    "0.412089 0.095675 7206.000000 4 5.108237 0.009840 0.999904 2.417727 0.062468 0.104920 0.000001 49436.000000"
)


def clipped(pixels: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels whose counts end at the scale, and which of them do."""
    cut = pixels.copy()
    cut[:, 2] = np.minimum(cut[:, 2], scale)
    return cut, (cut[:, 2] >= scale).astype(np.uint8)


def middle_of(full: np.ndarray, pixels: np.ndarray) -> int:
    """The full pixel that is nearest to the centroid of all of them."""
    places = np.flatnonzero(full)
    return int(places[np.hypot(*(pixels[places, :2] - pixels[places, :2].mean(axis=0)).T).argmin()])


def solve(regions: Regions, centre: tuple[float, float] = (1022.0, 1022.0), **options) -> list[dict[str, float]]:
    options.setdefault("panels", NO_PANELS)
    rows = solve_regions(regions, *centre, options.pop("panels"), **options)
    return [dict(zip(FITTED_PEAK.names, row.tolist(), strict=True)) for row in rows]


def spot(y0: float, z0: float, *, sigma: float = 1.3, height: float = 4000.0, threshold: float = 10.0) -> np.ndarray:
    """Pixels of a round Gaussian spot above threshold."""
    span = np.arange(-9, 10)
    y, z = (g.ravel() for g in np.meshgrid(span + round(y0), span + round(z0), indexing="ij"))
    counts = np.rint(height * np.exp(-0.5 * ((y - y0) ** 2 + (z - z0) ** 2) / sigma**2))
    return np.stack([y, z, counts], axis=1)[counts >= threshold]


def peak_of(pixels: np.ndarray) -> list[int]:
    return [int(np.argmax(pixels[:, 2]))]


def assert_consistent(rows: list[dict[str, float]], pixels: np.ndarray, threshold: float = 10.0) -> None:
    """The derived columns from the fitted ones, and the bounds (docs/theory/peaks.md#checks-on-a-result)."""
    r = np.hypot(*(pixels[:, :2] - 1022.0).T)
    eta = -np.degrees(np.arctan2(1022.0 - pixels[:, 0], pixels[:, 1] - 1022.0))
    model = np.full(len(pixels), rows[0]["background"])
    for row in rows:
        v = (eta - row["eta"] + 180) % 360 - 180
        u, mixing = r - row["radius"], row["mixing"]
        lorentz = 1 / ((1 + (u / row["sigma_lorentz_r"]) ** 2) * (1 + (v / row["sigma_lorentz_eta"]) ** 2))
        gauss = np.exp(-0.5 * ((u / row["sigma_gauss_r"]) ** 2 + (v / row["sigma_gauss_eta"]) ** 2))
        profile = row["i_max"] * (mixing * lorentz + (1 - mixing) * gauss)
        under = profile > row["background"]
        assert row["pixels"] == under.sum()
        assert row["intensity"] == pytest.approx(profile.sum() + row["background"] * under.sum(), rel=1e-9)
        assert row["y_recorded"] == pytest.approx(1022 + row["radius"] * np.sin(row["eta"] / DEG), abs=1e-6)
        assert row["z_recorded"] == pytest.approx(1022 + row["radius"] * np.cos(row["eta"] / DEG), abs=1e-6)
        assert row["diff_y"] == row["max_y"] - row["y_recorded"]
        assert row["diff_z"] == row["max_z"] - row["z_recorded"]
        for axis in ("r", "eta"):
            widths = row[f"sigma_lorentz_{axis}"], row[f"sigma_gauss_{axis}"]
            assert row[f"sigma_{axis}"] == pytest.approx(mixing * widths[0] + (1 - mixing) * widths[1], rel=1e-12)
        assert row["raw_i_max"] / 2 <= row["i_max"] <= 5 * row["raw_i_max"]
        assert abs(row["radius"] - np.hypot(row["max_y"] - 1022, row["max_z"] - 1022)) <= 1 + 1e-9
        assert 0 <= mixing <= 1
        assert 0 <= row["background"] <= threshold
        model += profile
    assert rows[0]["residual"] == pytest.approx(np.sqrt(((model - pixels[:, 2]) ** 2).sum()), abs=1e-6, rel=1e-7)


def test_row_of_the_legacy_example():
    (row,) = solve(regions_of((SINGLE, peak_of(SINGLE))))
    for name, expected in zip(FITTED_PEAK.names, map(float, ROW.split()), strict=True):
        assert row[name] == pytest.approx(expected, abs=5.1e-7), name
    assert_consistent([row], SINGLE)


def test_plateau_of_two_pixels():
    pixels = np.array([[498, 436, 10], [499, 436, 10]])
    first, second = solve(regions_of((pixels, [0, 1])))
    assert first["return_code"] == second["return_code"] == 4
    assert first["residual"] == pytest.approx(0.004207817, abs=1e-9)
    assert (first["intensity"], second["intensity"]) == pytest.approx((2.429422, 3.363630), abs=1e-6)
    assert (first["raw_sum"], second["raw_sum"]) == pytest.approx((9.859482, 10.140518), abs=1e-6)
    assert first["i_max"] == pytest.approx(9.254910712, abs=1e-8)
    assert second["sigma_lorentz_eta"] == pytest.approx(0.108280285, abs=1e-8)
    assert (first["pixels"], first["region_pixels"], first["region_peaks"]) == (0, 2, 2)


@pytest.mark.parametrize("method", ["nm", "lm"])
@settings(deadline=None, max_examples=15)
@given(
    angle=st.floats(-3.1, 3.1),
    radius=st.floats(200, 900),
    separation=st.floats(2.0, 5.0),
    sigma=st.floats(0.8, 2.0),
    second=st.booleans(),
)
def test_fitted_rows_are_consistent(
    method: str, angle: float, radius: float, separation: float, sigma: float, second: bool
):
    y, z = 1022 + radius * np.sin(angle), 1022 + radius * np.cos(angle)
    pixels = spot(y, z, sigma=sigma)
    if second:
        sums = {(a, b): c for a, b, c in pixels.tolist()}
        for a, b, c in spot(y + separation, z + 1, sigma=sigma, height=2500).tolist():
            sums[a, b] = sums.get((a, b), 0) + c
        pixels = np.array([(a, b, c) for (a, b), c in sums.items()])
    padded = {(a, b): c for a, b, c in pixels.tolist()}
    maxima = [
        i
        for i, (a, b, c) in enumerate(pixels.tolist())
        if all(padded.get((a + da, b + db), 0) <= c for da in (-1, 0, 1) for db in (-1, 0, 1))
    ]
    rows = solve(regions_of((pixels, maxima)), method=method)
    assert_consistent(rows, pixels)
    assert sum(row["raw_sum"] for row in rows) == pytest.approx(pixels[:, 2].sum())


def test_a_spot_at_the_cut_of_eta_is_fitted_like_any_other():
    for method in ("nm", "lm", "centroid"):
        # 100 px below the beam centre, and the same image turned by half a turn, where eta has no cut.
        below = spot(1022.3, 922.2)
        above = below * [-1, -1, 1] + [2044, 2044, 0]
        rows = solve(regions_of((below, peak_of(below)), (above, peak_of(above))), method=method)
        assert rows[0]["y_recorded"] == pytest.approx(1022.3, abs=0.02)
        assert rows[0]["z_recorded"] == pytest.approx(922.2, abs=0.02)
        assert abs(rows[0]["eta"]) > 179
        assert rows[1]["y_recorded"] == pytest.approx(2044 - rows[0]["y_recorded"], abs=1e-6)
        assert rows[1]["z_recorded"] == pytest.approx(2044 - rows[0]["z_recorded"], abs=1e-6)
        for name in ("radius", "intensity", "sigma_r", "sigma_eta", "residual"):
            assert rows[1][name] == pytest.approx(rows[0][name], rel=1e-4), name
    assert rows[0]["intensity"] == below[:, 2].sum()
    edge = spot(1022.0, 922.0)
    (row,) = solve(regions_of((edge, peak_of(edge))))
    assert -180 < row["eta"] <= 180
    assert abs(row["eta"]) == pytest.approx(180, abs=1e-3)


def test_centroid_is_the_mean_of_radius_and_eta():
    pixels = spot(1322.4, 1180.7)
    (row,) = solve(regions_of((pixels, peak_of(pixels))), method="centroid")
    r = np.hypot(*(pixels[:, :2] - 1022.0).T)
    eta = np.degrees(np.arctan2(pixels[:, 0] - 1022.0, pixels[:, 1] - 1022.0))
    assert row["radius"] == pytest.approx(np.average(r, weights=pixels[:, 2]))
    assert row["eta"] == pytest.approx(np.average(eta, weights=pixels[:, 2]))
    assert row["pixels"] == row["region_pixels"] == len(pixels)
    assert row["intensity"] == row["raw_sum"] == pixels[:, 2].sum()
    assert row["i_max"] == row["raw_i_max"] == pixels[:, 2].max()
    zero = "sigma_r sigma_eta background sigma_gauss_r sigma_lorentz_r sigma_gauss_eta sigma_lorentz_eta mixing"
    assert not any(row[name] for name in [*zero.split(), "return_code", "residual"])
    two = solve(regions_of((pixels, [3, *peak_of(pixels)])), method="centroid")
    assert len(two) == 1
    assert two[0]["i_max"] == pixels[3, 2]
    assert two[0]["region_peaks"] == 1


@pytest.mark.parametrize("method", ["nm", "lm", "centroid"])
def test_panels_move_the_pixels_but_not_the_maximum(method: str):
    pixels = spot(1322.4, 1180.7)
    shift = np.array([[1300.0, 1399.0, 1100.0, 1199.0, 1.0, 0.0, 0.5, -0.25]])
    regions = regions_of((pixels, peak_of(pixels)))
    (plain,) = solve(regions, method=method)
    (moved,) = solve(regions, method=method, panels=shift)
    assert moved["y_recorded"] - plain["y_recorded"] == pytest.approx(0.5, abs=2e-3)
    assert moved["z_recorded"] - plain["z_recorded"] == pytest.approx(-0.25, abs=2e-3)
    assert (moved["max_y"], moved["max_z"]) == (plain["max_y"], plain["max_z"])
    elsewhere = shift + [[0, 0, 200, 200, 0, 0, 0, 0]]
    assert solve(regions, method=method, panels=elsewhere) == [plain]
    turned = np.array([[1300.0, 1344.0, 1159.0, 1203.0, np.cos(0.1), np.sin(0.1), 0.0, 0.0]])
    (row,) = solve(regions, method="centroid", panels=turned)
    u, v = 1322.4 - 1322, 1180.7 - 1181
    assert row["y_recorded"] == pytest.approx(1322 + u * np.cos(0.1) - v * np.sin(0.1), abs=0.02)
    assert row["z_recorded"] == pytest.approx(1181 + u * np.sin(0.1) + v * np.cos(0.1), abs=0.02)


def test_least_squares_reaches_the_optimum_of_an_independent_solver():
    (row,) = solve(regions_of((SINGLE, peak_of(SINGLE))), method="lm")
    (compatible,) = solve(regions_of((SINGLE, peak_of(SINGLE))))
    assert row["residual"] <= compatible["residual"]
    r = np.hypot(*(SINGLE[:, :2] - 1022.0).T)
    eta = np.degrees(np.arctan2(SINGLE[:, 0] - 1022.0, SINGLE[:, 1] - 1022.0))

    def residuals(x: np.ndarray) -> np.ndarray:
        bg, a, r0, e0, mu, gr, lr, ge, le = x
        u, v = r - r0, eta - e0
        lorentz = 1 / ((1 + (u / lr) ** 2) * (1 + (v / le) ** 2))
        return bg + a * (mu * lorentz + (1 - mu) * np.exp(-0.5 * ((u / gr) ** 2 + (v / ge) ** 2))) - SINGLE[:, 2]

    names = "background i_max radius eta mixing sigma_gauss_r sigma_lorentz_r sigma_gauss_eta sigma_lorentz_eta"
    start = np.array([compatible[name] for name in names.split()])
    delta = DEG * np.arctan(1 / 917.32219)
    lower = np.array([0, 3603, 916.32219, 24.6093698 - delta, 0, 0.01, 0.01, 0.005, 0.005])
    upper = np.array([10, 36030, 918.32219, 24.6093698 + delta, 1, 8.70418221, 8.70418221, 0.548801814, 0.548801814])
    inside = np.clip(start, lower + 1e-9, upper - 1e-9)
    best = least_squares(residuals, inside, bounds=(lower, upper), x_scale=upper - lower, xtol=1e-14, ftol=1e-14)
    assert row["residual"] <= np.sqrt(2 * best.cost) * 1.001


def test_threads_change_nothing_and_order_is_kept():
    spots = [spot(1322.4 + i, 1180.7 - 2 * i, sigma=0.9 + 0.1 * i) for i in range(9)]
    regions = regions_of(*((p, peak_of(p)) for p in spots))
    for method in ("nm", "lm", "centroid"):
        one = solve_regions(regions, 1022.0, 1022.0, NO_PANELS, method=method, threads=1)
        two = solve_regions(regions, 1022.0, 1022.0, NO_PANELS, method=method, threads=2)
        assert one.tobytes() == two.tobytes()
        assert one["region_pixels"].tolist() == [len(p) for p in spots]


def test_a_start_outside_its_bounds_is_clipped():
    # One row of pixels along the radius, 1500 px out: no extent in eta, but a start width of 0.1 degrees.
    pixels = np.array([[1022, 2522 + i, 50 + 10 * (i == 1)] for i in range(3)])
    (row,) = solve(regions_of((pixels, [1])))
    limit = 2 * DEG * np.arctan(2 / (1500 + 1502))
    assert limit < 0.1
    assert row["return_code"] in (3, 4, 5)
    assert np.isfinite(row["residual"])
    assert row["sigma_gauss_eta"] <= limit


def test_the_beam_centre_has_no_azimuth_but_finite_peaks():
    pixels = spot(1022.0, 1022.0)
    for method in ("nm", "lm", "centroid"):
        (row,) = solve(regions_of((pixels, peak_of(pixels))), method=method)
        assert all(np.isfinite(value) for value in row.values()), method


@pytest.mark.parametrize("method", ["nm", "lm"])
def test_a_region_with_more_peaks_than_evaluations_ends(method: str):
    pixels = spot(1322.4, 1180.7, sigma=0.5)
    rows = solve(regions_of((pixels, peak_of(pixels) * 630)), method=method)  # 5041 parameters
    assert {(row["region_peaks"], row["region_pixels"]) for row in rows} == {(630, len(pixels))}
    assert {row["return_code"] for row in rows} <= {3, 4, 5}
    assert all(np.isfinite(value) for row in rows for value in row.values())


@pytest.mark.parametrize("method", ["nm", "lm"])
def test_many_peaks_of_one_region_are_fitted_one_by_one(method: str):
    """Spots in a row that touch: alone, each has the pixels that are nearer to it than to the others."""
    centres = [(1322.3 + 10 * i, 1180.7) for i in range(80)]
    spots = np.concatenate([spot(*centre) for centre in centres])
    sums: dict[tuple[float, float], float] = {}
    for y, z, value in spots:
        sums[y, z] = sums.get((y, z), 0.0) + value
    pixels = np.array([[*place, value] for place, value in sums.items()])
    brightest = [int(np.flatnonzero((pixels[:, :2] == np.round(centre)).all(axis=1))[0]) for centre in centres]
    rows = solve(regions_of((pixels, brightest)), method=method)
    found = [(row["y_recorded"], row["z_recorded"]) for row in rows]
    assert np.abs(np.array(found) - centres).max() < 0.02


def test_no_regions_and_bad_input():
    empty = regions_of((np.empty((0, 3)), []))._replace(
        offsets=np.zeros(1, np.int64), maxima_offsets=np.zeros(1, np.int64), thresholds=np.empty(0)
    )
    assert solve_regions(empty, 0.0, 0.0, NO_PANELS).shape == (0,)
    good = regions_of((SINGLE, peak_of(SINGLE)))
    with pytest.raises(ValueError, match="simplex"):
        solve(good, method="simplex")
    with pytest.raises(ValueError, match="8 numbers"):
        solve(good, panels=np.empty((0, 7)))
    with pytest.raises(ValueError, match="no pixel of its region"):
        solve(good._replace(maxima=np.array([42], np.int32)))
    with pytest.raises(ValueError, match="fit the offsets"):
        solve(good._replace(counts=np.ones(3)))
    with pytest.raises(ValueError, match="needs a threshold"):
        solve(good._replace(maxima_offsets=np.array([0, 0]), maxima=np.empty(0, np.int32)))


@pytest.mark.parametrize("method", ["nm", "lm"])
@pytest.mark.parametrize(("excess", "tolerance"), [(1.5, 0.005), (3, 0.005), (10, 0.01), (30, 0.03)])
def test_a_peak_that_is_cut_off_is_where_its_flanks_say(method: str, excess: float, tolerance: float):
    """And as strong: height and intensity are those of the whole peak."""
    y, z, height = 1402.3, 1855.6, 1000.0 * excess
    whole = spot(y, z, sigma=1.6, height=height)
    pixels, full = clipped(whole, 1000.0)
    regions = regions_of((pixels, [middle_of(full, pixels)]))._replace(full=full)
    (row,) = solve(regions, method=method)
    assert row["return_code"] == 8
    assert (row["raw_i_max"], row["region_peaks"], row["mixing"]) == (1000.0, 1, 0.0)
    assert np.hypot(row["y_recorded"] - y, row["z_recorded"] - z) < tolerance
    assert row["i_max"] == pytest.approx(height, rel=0.03)
    assert row["intensity"] == pytest.approx(whole[:, 2].sum(), rel=0.02)
    assert row["raw_sum"] == pixels[:, 2].sum()
    (row,) = solve(regions, method="centroid")
    assert (row["return_code"], row["sigma_r"]) == (8, 0)
    assert np.hypot(row["y_recorded"] - y, row["z_recorded"] - z) < 0.1


def test_of_two_peaks_only_the_one_that_is_cut_off_is_flagged():
    strong, weak = spot(1402.3, 1855.6, height=9000.0), spot(1407.9, 1853.8, height=2000.0)
    sums = {(a, b): c for a, b, c in strong.tolist()}
    for a, b, c in weak.tolist():
        sums[a, b] = sums.get((a, b), 0) + c
    whole = np.array([(a, b, c) for (a, b), c in sums.items()])
    pixels, full = clipped(whole, 3000.0)
    second = int(np.flatnonzero((pixels[:, :2] == (1408, 1854)).all(axis=1))[0])
    regions = regions_of((pixels, [second, middle_of(full, pixels)]))._replace(full=full)
    rows = solve(regions)
    assert rows[0]["return_code"] in (4, 5)
    assert rows[1]["return_code"] == 8
    for row, (y, z) in zip(rows, [(1407.9, 1853.8), (1402.3, 1855.6)], strict=True):
        assert np.hypot(row["y_recorded"] - y, row["z_recorded"] - z) < 0.03
    assert sum(row["intensity"] for row in rows) == pytest.approx(whole[:, 2].sum(), rel=0.02)


def test_a_peak_whose_flanks_are_few_is_the_centroid_of_its_region():
    pixels = np.array([[1400, 1850, 90], [1401, 1850, 90], [1401, 1851, 30]])
    full = np.array([1, 1, 0], np.uint8)
    (row,) = solve(regions_of((pixels, [0]))._replace(full=full))
    assert (row["return_code"], row["sigma_r"], row["intensity"], row["pixels"]) == (8, 0, 210, 3)
    mean = pixels[:, 2] @ pixels[:, :2] / 210
    assert (row["y_recorded"], row["z_recorded"]) == pytest.approx(mean, abs=1e-3)
    # Two of them are divided, and each is judged by its own pixels.
    other = spot(1430.0, 1850.0, height=400.0)
    both = np.concatenate([pixels, other])
    rows = solve(
        regions_of((both, [0, 3 + peak_of(other)[0]]))._replace(full=np.append(full, np.zeros(len(other), "u1")))
    )
    assert [row["return_code"] == 8 for row in rows] == [True, False]
    assert np.hypot(rows[1]["y_recorded"] - 1430, rows[1]["z_recorded"] - 1850) < 0.01
