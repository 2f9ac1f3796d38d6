"""Spots of a grain, the powder profile and the pixels, from plain arrays."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from made_results import MadeResults

from midas.results import figures

PREDICTED = np.dtype(
    [("grain_id", "<i8"), ("ring", "<i4"), ("h", "<i4"), ("k", "<i4"), ("l", "<i4"), ("state", "u1"), ("omega", "<f8"),
     ("y", "<f8"), ("z", "<f8"), ("eta", "<f8"), ("spot_id", "<i8"), ("other_grain", "<i8"), ("omega_observed", "<f8"),
     ("y_observed", "<f8"), ("z_observed", "<f8"), ("d_omega", "<f8"), ("d_y", "<f8"), ("d_z", "<f8"),
     ("d_radial", "<f8"), ("d_arc", "<f8"), ("counted", "?")]
)  # fmt: skip


@pytest.fixture
def spots() -> np.ndarray:
    """Eight reflections of grain 7: two observed, two missing, two outside, two shared."""
    rows = np.zeros(8, PREDICTED)
    rows["grain_id"], rows["ring"], rows["h"] = 7, 1, 1
    rows["state"] = np.repeat([0, 1, 2, 3], 2)
    rows["omega"], rows["eta"] = np.linspace(-80, 80, 8), np.linspace(-170, 170, 8)
    rows["y"], rows["z"] = 100.0 + np.arange(8), 200.0 + np.arange(8)
    seen = np.isin(rows["state"], (0, 3))
    rows["spot_id"] = np.where(seen, 1 + np.arange(8), -1)
    rows["other_grain"] = np.where(rows["state"] == 3, 9, -1)
    for name in ("omega", "y", "z"):
        rows[f"{name}_observed"] = np.where(seen, rows[name] + 0.5, np.nan)
        rows[f"d_{name}"] = rows[f"{name}_observed"] - rows[name]
    return rows


def test_detector_shows_predictions_and_what_was_seen(spots: np.ndarray):
    figure = figures.detector(spots)
    assert "grain 7" in figure.layout.title.text
    predicted, *states = figure.data
    assert list(predicted.x) == [100, 101, 106, 107]
    assert [trace.name for trace in states] == [
        "observed (2)",
        "expected, not observed (2)",
        "outside of what is measured (2)",
        "shared with another grain (2)",
    ]
    assert list(states[0].x) == [100.5, 101.5] and list(states[0].y) == [200.5, 201.5]
    assert list(states[1].x) == [102, 103]
    assert "also of grain 9" in states[3].text[0]
    assert "1 0 0, ring 1" in states[0].text[0]


def test_eta_and_omega(spots: np.ndarray):
    figure = figures.eta_omega(spots)
    np.testing.assert_allclose(figure.data[1].x, spots["omega"][:2] + 0.5)
    np.testing.assert_allclose(figure.data[1].y, spots["eta"][:2])


def test_residuals_of_predicted_spots(spots: np.ndarray):
    """Those that the grain has; the others do not count."""
    spots["counted"], spots["d_radial"] = (
        spots["state"] == 0,
        np.where(spots["state"] == 0, [3.0, 5, 0, 0, 0, 0, 9, 9], 9),
    )
    figure = figures.residuals(spots)
    assert "2 spots" in figure.layout.title.text
    radial = next(trace for trace in figure.data if trace.mode == "markers")
    assert list(radial.x) == [1] and list(radial.y) == [4]
    assert [axis.title.text for axis in figure.select_yaxes()] == ["radial (µm)", "along the ring (µm)", "omega (°)"]
    assert len(figures.residuals(spots, "omega").data) > 3


def test_a_grain_alone_shows_its_observed_spots():
    grain = next(iter(MadeResults(2)))
    figure = figures.detector(grain)
    assert [trace.name for trace in figure.data] == ["observed"]
    np.testing.assert_allclose(figure.data[0].x, grain.spots["y_recorded"])
    assert "grain 7" in figures.eta_omega(grain).layout.title.text


def test_no_spots_are_said(spots: np.ndarray):
    assert "no spots" in figures.detector(spots[:0]).layout.annotations[0].text


def profile(intensity: np.ndarray, source: str = "spots") -> SimpleNamespace:
    rings = [SimpleNamespace(number=k, two_theta=3.0 + k, names="1 1 1", used=k == 1) for k in (1, 2)]
    return SimpleNamespace(two_theta=np.linspace(3, 6, 31), intensity=intensity, rings=rings, source=source)


def test_profile_shows_intensity_and_rings():
    figure = figures.powder_profile(profile(np.arange(30.0)))
    used, others, line = figure.data
    assert [x for x in used.x if x is not None] == [4, 4]
    assert others.name == "rings not used"
    assert line.x[0] == pytest.approx(3.05) and line.y[-1] == 29
    assert "counts" in figure.layout.yaxis.title.text
    assert figures.powder_profile(profile(np.arange(30.0), "frames"), logarithmic=True).layout.yaxis.type == "log"
    assert "no intensity" in figures.powder_profile(profile(np.zeros(0))).layout.annotations[0].text


def windows(n: int = 3) -> SimpleNamespace:
    spots = np.zeros(n, PREDICTED)
    spots["grain_id"], spots["state"] = [4, 4, 6][:n], [0, 1, 0][:n]
    counts = np.full((n, 3, 5, 5), 1.0, np.float32)
    counts[:, 1, 2, 4] = 16
    counts[:, 0, 0, 0] = np.nan
    return SimpleNamespace(spots=spots, counts=counts, omegas=np.tile([-0.5, 0, 0.5], (n, 1)))


def test_montage_shows_the_windows_of_one_grain():
    """Two spots of three frames of 5 x 5 pixels with gaps; the brightest pixel of each is black, z is up, y right."""
    figure = figures.montage(windows())
    shades = np.array(figure.data[0].z, float)
    assert shades.shape == (2 * 7 - 2, 3 * 7 - 2)
    assert "grain 4" in figure.layout.title.text
    assert shades[2, 7 + 4] == shades[7 + 2, 7 + 4] == 1
    assert shades[1, 7 + 4] == 0.25
    assert np.isnan(shades[5, 0]) and np.isnan(shades[0, 0])
    assert "not found" in figure.layout.yaxis.ticktext[1] and "not found" not in figure.layout.yaxis.ticktext[0]
    assert "grain 6" in figures.montage(windows(), 6).layout.title.text
    assert "no pixels" in figures.montage(windows(0)).layout.annotations[0].text
