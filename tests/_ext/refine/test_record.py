"""What a refined seed leaves (docs/theory/refinement.md#result-of-a-seed)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from simulated_grains import Experiment, Spots, reciprocal_basis, rotation_z, simulate

from midas._ext.refine.record import MATCHED_SPOT, SOLUTION, grain_radii
from midas.formats.refined import FIT_BEST, ORIENT_POS_FIT

from .seeds import EXPERIMENT, case, refine_grains, refiner


@pytest.mark.parametrize(
    ("found", "layout", "more"),
    [
        (SOLUTION, ORIENT_POS_FIT, {"id", "id_position", "id_cell", "id_errors", "grain_radius", "completeness"}),
        (
            MATCHED_SPOT,
            FIT_BEST,
            {"spot_id", "y_ideal", "z_ideal", "omega_ideal", "omega_recorded", "y_plane", "z_plane"},
        ),
    ],
)
def test_the_files_hold_what_the_kernel_finds(found: np.dtype, layout: np.dtype, more: set[str]) -> None:
    names = set(found.names or ()) - {"row"}
    assert names | more == set(layout.names or ())
    assert not names & more
    assert all(found[name] == layout[name] for name in names)


@pytest.mark.parametrize(("wedge", "exact"), [(0.2, False), (1.0, True)])
def test_spot_records_follow_from_the_solution(wedge: float, exact: bool) -> None:
    """Everything recomputed from the solution, the spots and the hkl list alone."""
    experiment = replace(EXPERIMENT, wedge=wedge, exact_wedge=exact)
    grains, spots = case(3, experiment=experiment)
    spots.blur(np.random.default_rng(2), spot=10, omega=0.05)
    result = refine_grains(refiner(experiment, spots), grains, spots)
    for seed in range(3):
        solution, fits = result.solutions[seed], result.spots(seed)
        u = solution["orientation"].reshape(3, 3)
        assert np.abs(u @ u.T - np.eye(3)).max() < 1e-12
        # Predictions are those of an upright axis.
        upright = replace(experiment, wedge=0.0, min_eta=1.0)
        fitted = simulate(upright, u[None], np.zeros((1, 3)), solution["cell"][None])
        leaning = simulate(replace(experiment, min_eta=1.0), u[None], np.zeros((1, 3)), solution["cell"][None])
        for spot in fits:
            row = spot["row"]
            partner, turned = (
                np.flatnonzero((of.hkl == spots.hkl[:, row, None]).all(axis=0) & (of.branch == spots.branch[row]))[0]
                for of in (fitted, leaning)
            )
            predicted = [spot["y_predicted"], spot["z_predicted"]]
            assert predicted == pytest.approx([fitted.y_plane[partner], fitted.z_plane[partner]], abs=1e-6)
            assert spot["omega_predicted"] == pytest.approx(fitted.omega_ideal[partner], abs=1e-9)
            g = u @ reciprocal_basis(solution["cell"]) @ spots.hkl[:, row]
            assert spot["g_predicted"] == pytest.approx(g / (g @ g), abs=1e-9)
            centred = [spot["y_centred"], spot["z_centred"], spot["omega_centred"]]
            turn = leaning.omega_recorded[turned]
            expected, direction = centre(experiment, spots, row, solution["position"], turn)
            assert centred == pytest.approx(expected, abs=1e-6)
            assert spot["g_observed"] == pytest.approx(direction, abs=1e-6)
            angle = np.degrees(np.arccos(min(1.0, spot["g_observed"] @ g / np.linalg.norm(g))))
            distance = np.hypot(*np.subtract(centred[:2], predicted))
            omega = abs(centred[2] - spot["omega_predicted"])
            differences = [spot["diff_angle"], spot["diff_pos"], spot["diff_ome"]]
            assert differences == pytest.approx([angle, distance, omega], abs=1e-6)
        for name in ("diff_pos", "diff_ome", "diff_angle"):
            assert solution[name] == pytest.approx(fits[name].mean(), abs=1e-9)
        assert np.linalg.norm(fits["g_observed"], axis=1) == pytest.approx(1, abs=1e-12)


def centre(
    experiment: Experiment, spots: Spots, row: int, position: NDArray, turn: float
) -> tuple[list[float], NDArray]:
    """y', z', omega' and the observed direction, with the trigonometry written out; `turn` turns the position."""
    wedge, lsd, omega = np.radians(experiment.wedge), experiment.lsd, spots.omega_recorded[row]
    x, y, z = rotation_z(turn) @ position
    x, z = x * np.cos(wedge) - z * np.sin(wedge), x * np.sin(wedge) + z * np.cos(wedge)
    y, z = lsd * (spots.y_plane[row] - y) / (lsd - x), lsd * (spots.z_plane[row] - z) / (lsd - x)
    theta, eta = np.arctan(np.hypot(y, z) / lsd) / 2, np.arctan2(-y, z)
    k = np.array([-np.sin(theta), -np.cos(theta) * np.sin(eta), np.cos(theta) * np.cos(eta)])
    q = np.array([k[0] * np.cos(wedge) + k[2] * np.sin(wedge), k[1], k[2] * np.cos(wedge) - k[0] * np.sin(wedge)])
    g = rotation_z(-omega) @ q
    if experiment.exact_wedge:
        across = np.sign(y) * np.sqrt(np.cos(theta) ** 2 - q[2] ** 2)
        y, z = np.hypot(y, z) / np.cos(theta) * np.array([across, q[2]])
    e = np.sign(y) * np.sqrt(g[0] ** 2 + g[1] ** 2 - np.sin(theta) ** 2)
    ideal = np.degrees(np.arctan2(g[1] * np.sin(theta) + g[0] * e, -g[0] * np.sin(theta) + g[1] * e))
    return [y, z, ideal], g if experiment.exact_wedge else rotation_z(-ideal) @ k


def test_radius_is_the_mean_or_largest_without_rejected_rings() -> None:
    radii = np.linspace(5, 50, 12)
    rows, offsets = np.arange(12)[::-1].copy(), np.array([0, 12])
    rejected = (rows % 5 == 1).astype(np.uint8)
    kept = ~rejected[rows].astype(bool)

    def radius(rejected: NDArray[np.uint8], largest: bool = False) -> float:
        return float(grain_radii(offsets, rows, radii, rejected, largest)[0])

    none, every = np.zeros(12, np.uint8), np.ones(12, np.uint8)
    assert radius(none) == pytest.approx(radii.mean(), abs=1e-9)
    assert radius(none, largest=True) == radii.max()
    assert radius(rejected) == pytest.approx(radii[kept].mean(), abs=1e-9)
    assert radius(rejected, largest=True) == radii[kept].max()
    assert radius(every) == 0.0
    rows[3:] = -1
    assert radius(none) == pytest.approx(radii[:3].mean(), abs=1e-9)
    with pytest.raises(ValueError, match="recorded spots"):
        radius(none[:4])
    with pytest.raises(ValueError, match="beyond the spots"):
        grain_radii(offsets, rows[:5].copy(), radii, none, False)
