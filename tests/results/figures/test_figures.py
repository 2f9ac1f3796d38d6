"""Figures of 0, 1, 15 and 5,000 grains: what is in them, and that browsers can draw it."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import plotly.graph_objects as go
import pytest
from made_results import MadeResults
from scipy.spatial.transform import Rotation

from midas.results import figures
from midas.results.figures.maps import box_of, camera_of
from midas.results.figures.style import bins_of, limits, nice

STIFFNESS = 100 * np.eye(6)
FIGURES: dict[str, Callable[[MadeResults], go.Figure]] = {
    "grain_map": figures.grain_map,
    "grain_map of a number": lambda r: figures.grain_map(r, "strain_xx"),
    "grain_map along a direction": lambda r: figures.grain_map(r, direction=(1, 1, 0)),
    "grain_map of stress": lambda r: figures.grain_map(r, "von_mises_stress", stiffness=STIFFNESS),
    "grain_views": figures.grain_views,
    "grain_views of a number": lambda r: figures.grain_views(r, "sigma_position"),
    "sizes": figures.sizes,
    "completeness": figures.completeness,
    "strains": figures.strains,
    "residuals": figures.residuals,
    "residuals against eta": lambda r: figures.residuals(r, "eta"),
    "pole_figure": figures.pole_figure,
    "pole_figure about X": lambda r: figures.pole_figure(r, (0, 0, 2), centre="x", projection="stereographic"),
    "inverse_pole_figure": figures.inverse_pole_figure,
    "inverse_pole_figure along a direction": lambda r: figures.inverse_pole_figure(r, (1, 1, 0)),
    "misorientations": figures.misorientations,
    "residuals against omega": lambda r: figures.residuals(r, "omega"),
}


@pytest.fixture(scope="module")
def samples() -> dict[int, MadeResults]:
    return {n: MadeResults(n) for n in (0, 1, 15, 5000)}


def texts(figure: go.Figure) -> str:
    return " ".join([figure.layout.title.text, *(one.text for one in figure.layout.annotations if one.text)])


@pytest.mark.parametrize("n", [0, 1, 15, 5000])
@pytest.mark.parametrize("name", FIGURES)
def test_figures_of_any_number_of_grains(samples: dict[int, MadeResults], name: str, n: int):
    figure = FIGURES[name](samples[n])
    text = figure.to_json(validate=True)
    json.loads(text, parse_constant=pytest.fail)
    assert figure.layout.height >= 220
    if n == 0:
        assert not figure.data
        assert "There are no" in texts(figure)
    elif name != "misorientations" or n > 1:
        assert figure.data
        if n == 15:
            assert text == FIGURES[name](samples[n]).to_json(), "the same results are the same figure"
    assert len(text) < 2_000_000


def test_map_tells_which_grain_is_where(samples: dict[int, MadeResults]):
    results = samples[15]
    trace = figures.grain_map(results).data[0]
    assert trace.customdata[:, 0].tolist() == results.grains["grain_id"].tolist()
    assert trace.hovertemplate.startswith("grain %{customdata[0]}<br>X %{x:.1f} µm")
    sizes, radius = np.array(trace.marker.size), results.grains["radius"]
    np.testing.assert_allclose(sizes / sizes.max(), np.clip(radius / radius.max(), 0.2, 1), rtol=1e-6)


@pytest.mark.parametrize("size", [(1.0, 1.0, 1.0), (500.0, 500.0, 20.0), (10.0, 10.0, 3000.0), (0.0, 0.0, 0.0)])
@pytest.mark.parametrize("shape", [0.5, 1.0, 3.0])
def test_camera_sees_the_whole_box(size: tuple[float, float, float], shape: float):
    """All corners lie in the field of view, which is 45 degrees high, and some reach far into it."""
    position = np.array([[0.0, 0, 0], size])
    ranges = box_of(position, np.array([2.0, 3.0]))
    assert (ranges[:, 0] <= position.min(axis=0) - 3).all() and (ranges[:, 1] >= position.max(axis=0) + 3).all()
    camera = camera_of(ranges, shape)
    width = ranges[:, 1] - ranges[:, 0]
    half = width / np.prod(width) ** (1 / 3) / 2
    eye = np.array([camera["eye"][axis] for axis in "xyz"])
    corners = np.array([(a, b, c) for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)]) * half
    matrix = Rotation.align_vectors([[0, 0, 1], [0, 1, 0]], [eye / np.linalg.norm(eye), [0, 0, 1]], weights=[1e9, 1])[0]
    x, y, z = (matrix.apply(corners) - [0, 0, np.linalg.norm(eye)]).T
    tangent = np.tan(np.radians(22.5))
    part = np.maximum(np.abs(x / z) / min(shape, 1), np.abs(y / z)) / tangent
    assert (z < 0).all()
    assert 0.6 < part.max() <= 0.86


def test_choices_have_the_numbers_of_the_grains(samples: dict[int, MadeResults]):
    results = samples[15]
    choices = figures.colour_choices(results, stiffness=STIFFNESS)
    strain = results.grains["strain"]
    assert choices["radius"].values.tolist() == results.grains["radius"].tolist()
    np.testing.assert_allclose(choices["strain_xz"].values, strain[:, 0, 2])
    np.testing.assert_allclose(choices["volume_strain"].values, np.trace(strain, axis1=1, axis2=2))
    np.testing.assert_allclose(choices["stress_yy"].values, 0.1 * strain[:, 1, 1])
    expected = np.sqrt(sum(results.sigma[name] ** 2 for name in ("sX", "sY", "sZ")))
    np.testing.assert_allclose(choices["sigma_position"].values, expected)
    assert choices["strain_xx"].label == "strain xx (10⁻⁶)"
    assert "position" not in choices["diff_pos"].title, "what the spots miss is not the error of the grain"
    assert not {"sigma_position", "stress_xx"} & figures.colour_choices(MadeResults(3, sigma=False)).keys()


def test_equivalents_of_closed_forms():
    """Uniaxial stress is its own equivalent; a change of volume alone has none."""
    results = MadeResults(2)
    stress = np.zeros((2, 3, 3))
    stress[0, 2, 2], stress[1] = 250, 80 * np.eye(3)
    choices = figures.colour_choices(results, stress=stress)
    np.testing.assert_allclose(choices["von_mises_stress"].values, [250, 0], atol=1e-9)
    np.testing.assert_allclose(choices["hydrostatic_stress"].values, [250 / 3, 80])
    results.grains["strain"] = np.diag([-1.0, -1.0, 2.0])
    np.testing.assert_allclose(figures.colour_choices(results)["von_mises_strain"].values, 2)


def test_unknown_names_are_answered_with_the_known_ones(samples: dict[int, MadeResults]):
    with pytest.raises(ValueError, match="no colour 'size'; there are ipf_x, ipf_y"):
        figures.grain_map(samples[1], "size")
    with pytest.raises(ValueError, match="three numbers"):
        figures.grain_map(samples[1], direction=(0, 0, 0))
    with pytest.raises(ValueError, match="against must be one of ring, eta, omega"):
        figures.residuals(samples[1], "radius")
    with pytest.raises(ValueError, match=r"x: \(3,\) values for 12 spots"):
        figures.residuals(samples[1], values={"x": np.zeros(3)})


def test_residuals_are_medians_and_quartiles():
    results = MadeResults(40)
    values = 10.0 * results.spots["ring"] + np.tile([-1.0, 0, 1], len(results.spots) // 3)
    figure = figures.residuals(results, values={"radial (µm)": values})
    points = figure.data[-1]
    assert list(points.x) == [1, 2, 3, 4]
    for ring, median, above in zip(points.x, points.y, points.error_y.array, strict=True):
        first, expected, third = np.percentile(values[results.spots["ring"] == ring], (25, 50, 75))
        assert (median, above) == (pytest.approx(expected), pytest.approx(third - expected))
        assert first <= expected


def test_strain_panels_show_the_uncertainty_where_there_is_one():
    with_sigma, without = figures.strains(MadeResults(15)), figures.strains(MadeResults(15, sigma=False))
    assert sum(trace.type == "bar" for trace in with_sigma.data) == 6
    assert [one.text[:3] for one in with_sigma.layout.annotations[:6]] == ["xx:", "yz:", "yy:", "xz:", "zz:", "xy:"]
    assert "σ" in texts(with_sigma) and "σ" not in texts(without)


def test_histograms_count_every_grain_once(samples: dict[int, MadeResults]):
    for n in (1, 15, 5000):
        grains, volume = (trace for trace in figures.sizes(samples[n]).data if trace.type == "bar")
        assert sum(grains.y) == n
        assert sum(volume.y) == pytest.approx(100)
        assert sum(figures.completeness(samples[n]).data[0].y) == n
        assert all(sum(trace.y) == n for trace in figures.strains(samples[n]).data if trace.type == "bar")


def test_few_grains_are_counted_in_whole_numbers(samples: dict[int, MadeResults]):
    assert (
        figures.sizes(samples[1]).layout.yaxis.dtick == 1 and figures.completeness(samples[1]).layout.yaxis.dtick == 1
    )
    assert figures.strains(samples[1]).layout.yaxis5.dtick == 1
    assert figures.sizes(samples[5000]).layout.yaxis.dtick is None


@pytest.mark.parametrize(
    "values", [[1.0], [1.0, 1.0], [0.0, 0, 0], [57.1, 57.2, 57.3, 58.4], [-3e-9, 4e-9], [1, np.nan]]
)
def test_bars_are_as_wide_as_the_values_ask(values: list[float]):
    known = np.array(values)[np.isfinite(values)]
    bins = bins_of(np.array(values))
    assert bins is not None and bins["size"] > 0
    assert bins["start"] <= known.min() and bins["end"] >= known.max()
    assert (bins["end"] - bins["start"]) / bins["size"] < 70
    if np.ptp(known) > 0:
        assert bins["size"] < np.ptp(known), "one bar does not show how values are spread"
    else:
        assert bins["size"] <= max(0.05 * abs(known[0]), 0.05)


def test_scales_hold_the_values():
    low, high, trimmed = limits(np.array([-1.0, 3.0]), symmetric=True)
    assert (low, high, trimmed) == (-3, 3, False)
    low, high, trimmed = limits(np.r_[np.linspace(0, 1, 999), 1e6], symmetric=False)
    assert trimmed and 0 <= low < high < 2
    low, high, _ = limits(np.ones(4), symmetric=False)
    assert low < 1 < high
    assert [nice(x) for x in (0.011, 3, 7, 1)] == pytest.approx([0.02, 5, 10, 1])


@pytest.mark.parametrize("number", [2, 12, 70, 87, 139, 147, 162, 164, 175, 194, 205, 225])
def test_key_names_the_group_and_its_corners(number: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("midas.results.figures.key._PIXELS", 40)
    figure = figures.ipf_key(number)
    group = figures.key_of(number).group.name
    assert f"Laue group {group};" in texts(figure)
    assert ("up to the lattice only" in texts(figure)) == (number in (87, 147, 162, 164, 175, 205))
    assert figure.layout.images[0].source.startswith("data:image/png;base64,")
    assert len(figure.layout.annotations) >= 3
    assert figures.ipf_key(number).to_json() == figure.to_json()
