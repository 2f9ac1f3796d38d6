"""Colours of directions: closed forms, symmetry, continuity, one direction for each colour, and orix as an oracle."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from midas.experiment.orientation import matrices_from_quaternions, symmetry_operators
from midas.results.colours.keys import ipf_colours, key_of, rgb_texts
from midas.results.colours.laue import LAUE_GROUPS, laue_group

#: a space group of each Laue group, those of -3m with their two kinds of mirrors, and other settings
CRYSTALS = [
    ("-1", 2, None), ("2/m", 12, None), ("2/m", 12, (5.0, 6.0, 7.0, 90.0, 90.0, 100.0)),
    ("2/m", 12, (5.0, 6.0, 7.0, 100.0, 90.0, 90.0)), ("mmm", 70, None), ("4/m", 87, None), ("4/mmm", 139, None),
    ("-3", 147, None), ("-3m", 150, None), ("-3m", 149, None), ("-3m", 167, None),
    ("-3m", 167, (5.2, 5.2, 5.2, 55.0, 55.0, 55.0)), ("6/m", 175, None), ("6/mmm", 194, None), ("m-3", 205, None),
    ("m-3m", 225, None),
]  # fmt: skip
#: groups whose directions fill a disc, so that each can have a colour of its own
UNIQUE = [one for one in CRYSTALS if one[0] not in ("-1", "-3")]
COORDINATE = st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3)
VECTORS = st.tuples(COORDINATE, COORDINATE, COORDINATE)


def directions(n: int, seed: int = 0) -> np.ndarray:
    vectors = np.random.default_rng(seed).normal(size=(n, 3))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize(("name", "number", "cell"), CRYSTALS)
def test_groups_have_their_names_and_form_a_group(name: str, number: int, cell: tuple[float, ...] | None):
    group = laue_group(number, cell)
    orders = dict(zip(LAUE_GROUPS, (2, 4, 8, 8, 16, 6, 12, 12, 24, 24, 48), strict=True))
    assert group.name == name
    assert len(group.operations) == orders[name]
    assert all(group.contains(a @ b) for a in group.operations for b in group.operations)
    assert all(np.allclose(a @ a.T, np.eye(3), atol=1e-9) for a in group.operations)


def test_every_space_group_has_a_laue_group_in_that_of_its_lattice():
    for number in range(1, 231):
        group, lattice = laue_group(number), laue_group(number, symmetry="lattice")
        assert all(lattice.contains(one) for one in group.operations), number


@pytest.mark.parametrize(("name", "number", "cell"), CRYSTALS)
@settings(max_examples=25)
@given(vector=VECTORS)
def test_equivalent_directions_have_the_same_colour(name: str, number: int, cell: tuple[float, ...] | None, vector):
    key = key_of(number, cell)
    turned = np.array(vector) @ (key.group.turn.T @ key.group.operations @ key.group.turn).transpose(0, 2, 1)
    colours = key.colours(turned.reshape(-1, 3))
    assert np.ptp(colours, axis=0).max() < 1e-9


@pytest.mark.parametrize(("name", "number", "cell"), CRYSTALS)
@settings(max_examples=25)
@given(vector=VECTORS, step=VECTORS)
def test_near_directions_have_near_colours(name: str, number: int, cell: tuple[float, ...] | None, vector, step):
    v = np.array(vector) / np.linalg.norm(vector)
    near = v + 1e-6 * np.array(step)
    colours = key_of(number, cell).colours(np.array([v, near]))
    assert np.abs(colours[0] - colours[1]).max() < 1e-4


@pytest.mark.parametrize(("name", "number", "cell"), UNIQUE)
def test_directions_that_differ_have_colours_that_differ(name: str, number: int, cell: tuple[float, ...] | None):
    key = key_of(number, cell)
    vectors = directions(8000)
    pairs = cKDTree(key.colours(vectors)).query_pairs(0.006, output_type="ndarray")
    assert len(pairs) > 200
    turned = vectors @ key.group.turn.T
    first, second = turned[pairs[:, 0]], turned[pairs[:, 1]]
    chords = [np.linalg.norm(first - second @ one.T, axis=1) for one in key.group.operations]
    assert np.degrees(np.min(chords, axis=0)).max() < 2


@pytest.mark.parametrize(("name", "number", "cell"), UNIQUE)
def test_what_the_group_tells_apart_looks_unlike(name: str, number: int, cell: tuple[float, ...] | None):
    """In the middle of the triangles that the lattice, but not the group, makes equivalent."""
    key, lattice = key_of(number, cell), key_of(number, cell, "lattice")
    middle = key.corners.sum(axis=0)
    images = middle @ lattice.group.operations.transpose(0, 2, 1) @ key.group.turn
    colours = np.unique(key.colours(images).round(6), axis=0)
    kinds = len(lattice.group.operations) // len(key.group.operations)
    assert len(colours) == kinds
    if kinds == 2:
        assert np.allclose(colours, [[0, 0, 0], [1, 1, 1]])


@pytest.mark.parametrize(("name", "number", "cell"), CRYSTALS)
def test_corners_are_red_green_and_blue(name: str, number: int, cell: tuple[float, ...] | None):
    key = key_of(number, cell)
    np.testing.assert_allclose(key.colours(key.corners @ key.group.turn), np.eye(3), atol=1e-9)


@pytest.mark.parametrize("number", [70, 139, 194, 225])
def test_the_middle_is_white_and_the_edges_are_pure_hues(number: int):
    key = key_of(number)
    assert key.colours(key.corners.sum(axis=0)).min() > 1 - 1e-9
    part = np.linspace(0, 1, 21)[:, None]
    for k in range(3):
        colours = key.colours(part * key.corners[k] + (1 - part) * key.corners[k - 1])
        np.testing.assert_allclose(colours.min(axis=1), 0, atol=1e-7)
        np.testing.assert_allclose(colours.max(axis=1), 1, atol=1e-7)


def test_main_axis_is_red_along_whatever_axes():
    rhombohedral = (5.2, 5.2, 5.2, 55.0, 55.0, 55.0)
    turn = laue_group(167, rhombohedral).turn
    np.testing.assert_allclose(key_of(167, rhombohedral).colours(turn[2:]), [[1, 0, 0]], atol=1e-9)
    np.testing.assert_allclose(key_of(167).colours([[0, 0, 2.0]]), [[1, 0, 0]], atol=1e-9)


def test_mirrors_of_the_two_kinds_of_trigonal_groups():
    """P-3m1 reflects a into -a, P-31m reflects a* into -a*; a* is along x."""
    across_a, across_astar = np.array([[-0.5, 3**0.5 / 2, 0.4]]), np.array([[0.3, 0.2, 0.4]])
    x_mirror = np.diag([-1.0, 1.0, 1.0])
    y_mirror = np.diag([1.0, -1.0, 1.0])
    for vector in (across_a, across_astar):
        one, other = key_of(164), key_of(162)
        assert np.allclose(one.colours(vector), one.colours(vector @ y_mirror), atol=1e-9)
        assert np.allclose(other.colours(vector), other.colours(vector @ x_mirror), atol=1e-9)
    assert np.abs(key_of(164).colours(across_astar) - key_of(164).colours(across_astar @ x_mirror)).max() > 0.1
    assert np.abs(key_of(162).colours(across_astar) - key_of(162).colours(across_astar @ y_mirror)).max() > 0.1


def test_colours_of_orientations_do_not_depend_on_the_equivalent():
    orientation = matrices_from_quaternions([0.5, 0.1, -0.7, 0.5] / np.linalg.norm([0.5, 0.1, -0.7, 0.5]))
    for number in (15, 139, 194, 225):
        operators = matrices_from_quaternions(symmetry_operators(number))
        colours = ipf_colours(orientation @ operators, number, (1, 2, 3))
        assert np.ptp(colours.astype(int), axis=0).max() <= 1


def test_colours_along_a_direction_of_the_sample():
    """A crystal whose c axis is along the sample's X is red there."""
    u = np.array([[[0, 0, 1.0], [0, 1, 0], [-1, 0, 0]]])
    assert ipf_colours(u, 225, (1, 0, 0)).tolist() == [[255, 0, 0]]
    assert rgb_texts(ipf_colours(u, 139, (5, 0, 0))) == ["#ff0000"]


def test_unknown_symmetry_is_named():
    with pytest.raises(ValueError, match='"laue" or "lattice", not \'point\''):
        laue_group(225, symmetry="point")
    with pytest.raises(ValueError, match="need the cell"):
        laue_group(167, setting="R")


#: name of the group in orix, and the rotation about z from its frame (a along x) to ours (a* along x), degrees
ORIX = {"mmm": ("D2h", 0.0), "4/mmm": ("D4h", 0.0), "6/mmm": ("D6h", -30.0), "m-3m": ("Oh", 0.0)}


@pytest.mark.parametrize("name", ORIX)
def test_colours_are_those_of_orix(name: str):
    """Groups of reflections alone: the same colours. orix tabulates its hues in steps, hence the tolerance."""
    symmetry = pytest.importorskip("orix.quaternion.symmetry")
    plot, vector = pytest.importorskip("orix.plot"), pytest.importorskip("orix.vector")
    attribute, turn = ORIX[name]
    number = next(number for group, number, cell in CRYSTALS if group == name and cell is None)
    vectors = directions(4000)
    theirs = plot.IPFColorKeyTSL(getattr(symmetry, attribute)).direction_color_key.direction2color(
        vector.Vector3d(vectors)
    )
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    ours = key_of(number).colours(vectors @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]]))
    assert np.abs(ours - theirs).max() < 0.04
    assert np.median(np.abs(ours - theirs).max(axis=1)) < 0.01


@pytest.mark.parametrize(("name", "number", "cell"), [one for one in CRYSTALS if one[2] is None and one[1] != 149])
def test_operations_are_those_of_orix(name: str, number: int, cell: None):
    """The groups are theirs; -31m is left out, of which orix knows one kind."""
    point_groups = pytest.importorskip("orix.quaternion.symmetry")
    attribute = dict(zip(LAUE_GROUPS, "Ci C2h D2h C4h D4h S6 D3d C6h D6h Th Oh".split(), strict=True))[name]
    theirs = getattr(point_groups, attribute)
    matrices = theirs.to_matrix() * np.where(theirs.improper, -1, 1)[:, None, None]
    ours = laue_group(number, cell)
    if ours.hexagonal:
        c, s = 3**0.5 / 2, 0.5  # from a along x to a* along x
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])
        matrices = turn @ matrices @ turn.T
    if name == "2/m":
        swap = np.array([[0, 1.0, 0], [0, 0, 1], [1, 0, 0]])  # the unique axis, z there, is y here
        matrices = swap.T @ matrices @ swap if np.allclose(swap.T @ [0, 0, 1], [0, 1, 0]) else swap @ matrices @ swap.T
    assert len(matrices) == len(ours.operations)
    assert all(ours.contains(one) for one in matrices)


def test_hue_is_that_of_the_colour():
    """Between red and green along an edge the hue rises from 0 to a third of the circle."""
    key = key_of(225)
    part = np.linspace(0, 1, 41)[:, None]
    colours = key.colours((1 - part) * key.corners[0] + part * key.corners[1])
    hues = [colorsys.rgb_to_hsv(*one)[0] for one in colours]
    assert np.all(np.diff(hues) > 0)
    assert hues[-1] == pytest.approx(1 / 3)
