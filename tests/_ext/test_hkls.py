"""Families of reflections and their rings (docs/theory/hkls.md)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from midas._ext.hkls import enumerate_reflections, reciprocal_basis, reflection_table, smallest_spacing
from midas.experiment.crystal import space_group
from midas.formats.hkls import LAYOUT

#: Images of (h k l) under the ordered operations; 1, 2, 3 stand for h, k, l.
OPERATIONS = {
    14: "1 2 3, -1 2 -3",
    62: "1 2 3, -1 -2 3, 1 -2 -3, -1 2 -3",
    167: "1 2 3, 2 -1-2 3, -1-2 1 3, 1 -1-2 -3, -1-2 2 -3, 2 1 -3",
    194: (
        "1 2 3, 1+2 -1 3, 2 -1-2 3, -1 -2 3, -1-2 1 3, -2 1+2 3, 1 -1-2 -3, -1-2 2 -3, 2 1 -3, -2 -1 -3, "
        "-1 1+2 -3, 1+2 -2 -3"
    ),
    225: (
        "1 2 3, 2 -1 3, -1 -2 3, -2 1 3, 1 3 -2, 1 -2 -3, 1 -3 2, -3 2 1, -1 2 -3, 3 2 -1, 2 3 1, 3 1 2, 3 -1 -2, "
        "-2 -3 1, -3 -1 2, -2 3 -1, 2 -3 -1, -3 -1 2, 2 1 -3, -2 -1 -3, -1 3 2, -1 -3 -2, 3 -2 1, -3 -2 -1"
    ).replace("2 -3 -1, -3 -1 2, 2 1 -3", "2 -3 -1, -3 1 -2, 2 1 -3"),
}


def images(text: str) -> list[list[int]]:
    """Images of (1, 10, 100)."""
    values = {"1": 1, "2": 10, "3": 100}

    def value(word: str) -> int:
        return sum((-1 if sign == "-" else 1) * values[digit] for sign, digit in _terms(word))

    return [[value(word) for word in image.split()] for image in text.split(", ")]


def _terms(word: str) -> list[tuple[str, str]]:
    word = word if word[0] in "+-" else "+" + word
    return list(zip(word[::2], word[1::2], strict=True))


@pytest.mark.parametrize("number", sorted(OPERATIONS))
def test_operations_are_in_the_order_of_the_list(number: int) -> None:
    found = np.array([1, 10, 100]) @ space_group(number).operations
    assert found.tolist() == images(OPERATIONS[number])


def test_operation_lists_of_related_groups() -> None:
    cubic = images(OPERATIONS[225])
    assert (np.array([1, 10, 100]) @ space_group(229).operations).tolist() == cubic
    without_inversion = (np.array([1, 10, 100]) @ space_group(216).operations).tolist()
    assert without_inversion[:4] == [[1, 10, 100], [-10, 1, -100], [-1, -10, 100], [10, -1, -100]]
    assert sum(image in cubic for image in without_inversion) == 12
    assert len(space_group(227).operations) == 48


@pytest.mark.parametrize("number", range(1, 231))
def test_operations_are_a_group(number: int) -> None:
    operations = {operation.tobytes() for operation in space_group(number).operations}
    array = space_group(number).operations
    assert len(operations) == len(array)
    assert {(a @ b).tobytes() for a in array for b in array} == operations


@pytest.mark.parametrize("number", [0, 231, -1])
def test_no_such_space_group(number: int) -> None:
    with pytest.raises(ValueError, match="1 to 230"):
        space_group(number)


def enumerated(number: int, limit: int, first_k: int = 0, first_l: int = 0) -> np.ndarray:
    group = space_group(number)
    return enumerate_reflections(
        group.operations, group.rotations, group.translations, group.centrings, limit, first_k, first_l
    )


def test_families_are_disjoint_and_the_last_entry_is_dropped() -> None:
    hkl = enumerated(225, 2)
    assert len({tuple(h) for h in hkl.tolist()}) == len(hkl)
    assert np.array_equal(hkl[:-1:2], -hkl[1::2])
    assert len(hkl) % 2 == 1
    assert {tuple(sorted(map(abs, h))) for h in hkl.tolist()} == {(1, 1, 1), (0, 0, 2), (0, 2, 2), (2, 2, 2)}


@pytest.mark.parametrize("bad", [{"limit": 0}, {"limit": 3, "first_k": -4}, {"limit": 3, "first_l": 1}])
def test_box_is_checked(bad: dict[str, int]) -> None:
    with pytest.raises(ValueError):
        enumerated(225, **bad)


def test_nothing_allowed_gives_nothing() -> None:
    assert enumerated(228, 1).shape == (0, 3)
    table = reflection_table(enumerated(228, 1), (5, 5, 5, 90, 90, 90), 0.2, 1e6, 1.0)
    assert {name: len(column) for name, column in table.items()} == dict.fromkeys(LAYOUT.names, 0)


@settings(deadline=None)
@given(
    st.tuples(*[st.floats(2, 20)] * 3),
    st.tuples(st.floats(75, 105), st.floats(75, 105), st.floats(75, 105)),
)
def test_reciprocal_basis_is_dual_to_the_cell(lengths, angles) -> None:
    basis = reciprocal_basis((*lengths, *angles))
    direct = np.linalg.inv(basis)
    assert np.allclose(np.linalg.norm(direct, axis=1), lengths)
    cosines = [direct[i] @ direct[j] / (lengths[i] * lengths[j]) for i, j in [(1, 2), (0, 2), (0, 1)]]
    assert np.allclose(cosines, np.cos(np.radians(angles)), atol=1e-9)
    assert np.array_equal(np.tril(basis, -1), np.zeros((3, 3)))


def test_reciprocal_basis_wants_six_numbers() -> None:
    with pytest.raises(ValueError, match="six"):
        reciprocal_basis((4, 4, 4))


def test_list_ends_at_the_ring_of_the_radius() -> None:
    d_min = smallest_spacing(0.22291, 1e6, 204800)
    table = reflection_table(enumerated(225, 10), (4.08, 4.08, 4.08, 90, 90, 90), 0.22291, 1e6, d_min)
    assert table["ring_radius"].max() < 204800
    beyond = reflection_table(enumerated(225, 10), (4.08, 4.08, 4.08, 90, 90, 90), 0.22291, 1e6, 0.99 * d_min)
    for name, column in table.items():
        assert np.array_equal(beyond[name][: len(column)], column)
    assert {int(ring): int((table["ring"] == ring).sum()) for ring in table["ring"]} == {1: 8, 2: 6, 3: 12, 4: 24, 5: 8}
    radii = [94949.402022, 109761.671955, 155930.388055, 183469.976227, 191847.142109]
    assert np.allclose(np.unique(table["ring_radius"].round(6)), radii, rtol=0, atol=2e-6)
