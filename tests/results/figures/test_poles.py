"""Pole figures: where single crystals have their poles, and projections that keep what they say they keep."""

from __future__ import annotations

import numpy as np
import pytest
from made_results import MadeResults

from midas.results import figures
from midas.results.colours.laue import laue_group
from midas.results.colours.projection import PROJECTIONS, project, unproject
from midas.results.colours.sectors import sector_of
from midas.results.figures.density import multiples_of_random


def single(orientation: np.ndarray, crystal: tuple[int, tuple[float, ...]] | None = None) -> MadeResults:
    results = MadeResults(1) if crystal is None else MadeResults(1, crystal)
    results.grains["orientation"] = orientation
    return results


def places(figure) -> np.ndarray:
    shown = next(trace for trace in figure.data if trace.name == "grains")
    return np.column_stack([shown.x, shown.y])


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_cube_poles(projection: str):
    """{111} of a crystal along the axes: four poles on the diagonals, 54.7 degrees from the middle."""
    found = places(figures.pole_figure(single(np.eye(3)), projection=projection))
    angle = np.arccos(1 / 3**0.5)
    expected = np.tan(angle / 2) if projection == "stereographic" else np.sqrt(2) * np.sin(angle / 2)
    np.testing.assert_allclose(np.hypot(*found.T), expected, atol=1e-6)
    assert len(found) == 4
    np.testing.assert_allclose(np.abs(found[:, 0]), np.abs(found[:, 1]), atol=1e-6)


def test_axes_of_the_sample_are_where_they_are_named():
    """The c axis of a tetragonal crystal along the sample's Y."""
    u = np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]])
    crystal = (139, (4.0, 4.0, 6.0, 90.0, 90.0, 90.0))
    expected = {"z": [0, 1], "x": [1, 0], "y": [0, 0]}
    for centre, place in expected.items():
        found = places(figures.pole_figure(single(u, crystal), (0, 0, 1), centre=centre))
        np.testing.assert_allclose(np.abs(found), [place], atol=1e-6)


def test_poles_are_normals_of_planes_not_directions():
    """(1 0 1) of a tetragonal crystal leans by atan(c / a) from c."""
    crystal = (139, (4.0, 4.0, 6.0, 90.0, 90.0, 90.0))
    found = places(figures.pole_figure(single(np.eye(3), crystal), (1, 0, 1), projection="stereographic"))
    assert len(found) == 4
    np.testing.assert_allclose(np.hypot(*found.T), np.tan(np.arctan(6 / 4) / 2), atol=1e-6)


def test_inverse_pole_figure_holds_each_grain_once_inside_its_sector():
    for number in (2, 12, 70, 87, 139, 147, 164, 162, 175, 194, 205, 225):
        cell = (4.0, 5.0, 6.0, 90.0, 100.0, 90.0) if number < 16 else (4.0, 4.0, 6.0, 90.0, 90.0, 90.0)
        results = MadeResults(40, (number, cell))
        figure = figures.inverse_pole_figure(results, "x")
        directions = unproject(places(figure), "equal-area")
        assert len(directions) == 40
        sector = sector_of(laue_group(number, cell))
        assert (directions @ sector.normals.T > -1e-3).all(), number


@pytest.mark.parametrize("number", [2, 12, 70, 87, 139, 147, 164, 162, 175, 194, 205, 225])
def test_sectors_hold_every_direction_once(number: int):
    """Of the images of a direction one lies inside; as much of the sphere is inside as the group says."""
    group = laue_group(number)
    sector = sector_of(group)
    vectors = np.random.default_rng(3).normal(size=(4000, 3))
    images = np.einsum("kij,nj->nki", group.operations, vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    inside = sector.contains(images.reshape(-1, 3)).reshape(images.shape[:2]).sum(axis=1)
    assert (inside == 1).all()
    assert sector.contains(sector.outline).all()
    assert all(sector.contains(corner[None]).all() for corner, _ in sector.corners)


def test_sectors_have_the_corners_of_orix():
    """The fundamental sector of orix is an equivalent of ours: its middle lies in ours after an operation."""
    symmetry = pytest.importorskip("orix.quaternion.symmetry")
    for number, attribute in ((70, "D2h"), (139, "D4h"), (225, "Oh"), (205, "Th"), (87, "C4h")):
        theirs, ours = getattr(symmetry, attribute).fundamental_sector, sector_of(laue_group(number))
        for vertex in theirs.vertices.unit.data:
            angles = [np.degrees(np.arccos(np.clip(vertex @ corner, -1, 1))) for corner, _ in ours.corners]
            assert min(angles) < 0.01, (attribute, vertex)


@pytest.mark.parametrize("projection", ["stereographic", "equal-area"])
def test_projections_are_undone(projection: str):
    vectors = np.random.default_rng(2).normal(size=(200, 3))
    vectors[:, 2] = np.abs(vectors[:, 2])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    flat = project(vectors, projection)
    assert np.hypot(*flat.T).max() <= 1
    np.testing.assert_allclose(unproject(flat, projection), vectors, atol=1e-12)


def test_areas_and_angles_are_kept():
    """A small square of directions: equal-area keeps its area (times 1/2), stereographic its right angles."""
    for theta in (0.2, 0.9, 1.4):
        corner = np.array([np.sin(theta), 0, np.cos(theta)])
        steps = 1e-5 * np.array([[np.cos(theta), 0, -np.sin(theta)], [0, 1, 0]])
        flat = {}
        for name in PROJECTIONS:
            flat[name] = [(project(corner + step, name) - project(corner, name)) / 1e-5 for step in steps]
        assert abs(np.cross(*[np.append(v, 0) for v in flat["equal-area"]])[2]) == pytest.approx(0.5, rel=1e-3)
        assert np.dot(*flat["stereographic"]) == pytest.approx(0, abs=1e-4)
        a, b = (np.linalg.norm(v) for v in flat["stereographic"])
        assert a == pytest.approx(b, rel=1e-4)


def test_what_is_not_there_is_named():
    with pytest.raises(ValueError, match="hkl must be three indices"):
        figures.pole_figure(MadeResults(1), (0, 0, 0))
    with pytest.raises(ValueError, match="centre must be one of z, x, y"):
        figures.pole_figure(MadeResults(1), centre="w")
    with pytest.raises(ValueError, match="projection must be one of"):
        figures.pole_figure(MadeResults(0), projection="flat")
    with pytest.raises(ValueError, match="direction must be one of x, y, z"):
        figures.inverse_pole_figure(MadeResults(1), "w")


def test_density_is_one_without_texture_and_high_where_poles_are():
    at = np.random.default_rng(5).normal(size=(500, 3))
    at /= np.linalg.norm(at, axis=1, keepdims=True)
    k = np.arange(200_000) + 0.5  # evenly over the hemisphere
    z = 1 - k / 200_000
    around = np.pi * (3 - 5**0.5) * k
    even = np.stack([np.sqrt(1 - z * z) * np.cos(around), np.sqrt(1 - z * z) * np.sin(around), z], axis=1)
    np.testing.assert_allclose(multiples_of_random(even, at), 1, atol=0.05)
    pole = np.array([[0.6, 0.0, 0.8]])
    values = multiples_of_random(np.repeat(pole, 50, axis=0), np.array([[0.6, 0, 0.8], [-0.6, 0, -0.8], [0, 1.0, 0]]))
    # A normal distribution of 4 degrees over the hemisphere: 1 / sigma^2 at its top.
    assert values[0] == values[1] == pytest.approx(1 / np.radians(4) ** 2, rel=0.05)
    assert values[2] == 0
    assert multiples_of_random(np.empty((0, 3)), at).max() == 0


def test_density_at_the_rim_holds_both_sides():
    rim = np.array([[1.0, 0, 0]])
    inner = np.array([[0, 0, 1.0]])
    assert multiples_of_random(rim, rim)[0] == pytest.approx(multiples_of_random(inner, inner)[0], rel=0.05)


def test_many_grains_are_shown_by_their_density():
    results = MadeResults(3000)
    for figure in (figures.pole_figure(results), figures.inverse_pole_figure(results)):
        density = next(trace for trace in figure.data if trace.type == "heatmap")
        values = np.array(density.z, float)
        assert np.nanmean(values) == pytest.approx(1, abs=0.1)
