"""Slip systems: how many, where they lie, and the classics among the Schmid factors."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from midas.results.stress.grains import schmid_factors
from midas.results.stress.slip import FAMILIES, slip_systems
from midas.runtime.errors import ParameterError

CUBIC = (3.6, 3.6, 3.6, 90.0, 90.0, 90.0)
TITANIUM = (2.95, 2.95, 4.683, 90.0, 90.0, 120.0)
COUNTS = {
    "fcc": 12, "bcc110": 12, "bcc112": 12, "bcc123": 24, "b2": 6, "rocksalt": 6, "fluorite": 6,
    "basal": 3, "prismatic": 3, "pyramidal-a": 6, "pyramidal-ca": 12, "pyramidal2-ca": 6,
}  # fmt: skip


@pytest.mark.parametrize("name", FAMILIES)
def test_number_of_systems(name: str) -> None:
    group, cell = (225, CUBIC) if FAMILIES[name] and name in list(FAMILIES)[:7] else (194, TITANIUM)
    systems = slip_systems([name], group, cell)
    assert len(systems) == COUNTS[name] == len(set(systems.labels))
    np.testing.assert_allclose(np.sum(systems.normals * systems.directions, axis=1), 0, atol=1e-12)
    for vectors in (systems.normals, systems.directions):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1)


def test_groups_of_families() -> None:
    bcc = slip_systems(["bcc"], 229, CUBIC)
    assert bcc.families == ("bcc110", "bcc112", "bcc123") and bcc.starts == (0, 12, 24, 48)
    assert [bcc.family_of(k) for k in (0, 11, 12, 47)] == ["bcc110", "bcc110", "bcc112", "bcc123"]
    assert len(slip_systems(["hcp"], 194, TITANIUM)) == 30


@pytest.mark.parametrize(
    ("direction", "factor"),
    [((1, 0, 0), 1 / np.sqrt(6)), ((1, 1, 1), 2 / (3 * np.sqrt(6))), ((1, 1, 0), 1 / np.sqrt(6)), ((1, 2, 3), 0.4666)],
)
def test_schmid_factors_of_fcc(direction: tuple[int, int, int], factor: float) -> None:
    """0.408 along [1 0 0], 0.272 along [1 1 1]."""
    systems = slip_systems(["fcc"], 225, CUBIC)
    u = Rotation.random(3, random_state=4).as_matrix()
    for turn in u:
        found = schmid_factors(systems, turn[None], turn @ np.array(direction))
        assert found[0] == pytest.approx(factor, abs=1e-4)
    along = np.array([0.0, 0.0, 1.0])
    assert (schmid_factors(systems, Rotation.random(500, random_state=1).as_matrix(), along) <= 0.5 + 1e-12).all()


def test_the_axes_of_a_hexagonal_crystal() -> None:
    """Along c only <c+a> slips; the angle of the pyramid is that of c/a."""
    systems = slip_systems(["hcp"], 194, TITANIUM)
    along_c = np.abs(systems.normals[:, 2] * systems.directions[:, 2])
    by_family = [along_c[a:b].max() for a, b in zip(systems.starts[:-1], systems.starts[1:], strict=True)]
    np.testing.assert_allclose(by_family[:3], 0, atol=1e-12)
    a, c = TITANIUM[0], TITANIUM[2]
    length = np.hypot(a, c)
    first = (a * np.sqrt(3) / 2) / np.hypot(a * np.sqrt(3) / 2, c) * c / length
    second = (a / 2) / np.hypot(a / 2, c / 1) * c / length  # {1 1 -2 2} cuts c/2 at a/2
    assert by_family[3] == pytest.approx(first)
    assert by_family[4] == pytest.approx(np.sin(np.arctan2(a, c)) * c / length)
    assert second < by_family[4]
    # Basal slip is along a, 30 degrees from a*, which is along x.
    basal = systems.directions[:3]
    assert sorted(np.round(np.degrees(np.arctan2(basal[:, 1], basal[:, 0])) % 60)) == [30, 30, 30]


def test_systems_of_the_user() -> None:
    written = slip_systems(["1 1 1 0 1 -1"], 225, CUBIC)
    assert set(written.labels) == set(slip_systems(["fcc"], 225, CUBIC).labels)
    four = slip_systems(["ca (1 1 -2 2)[-1 -1 2 3]"], 194, TITANIUM)
    assert four.families == ("ca",)
    assert set(four.labels) == set(slip_systems(["pyramidal2-ca"], 194, TITANIUM).labels)
    both = slip_systems(["x 1 1 0 0 0 1", "x 1 0 0 0 1 0"], 225, CUBIC)
    assert len(set(both.families)) == 2


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("cubic", "must be one of bcc, hcp, fcc"),
        ("1 1 1 1 0", "indices of a plane"),
        ("1 1 1 1 1 1", "does not lie in the plane"),
        ("0 0 0 1 0 0", "does not lie in the plane"),
        ("1 0 1 1 1 -1 0 0", "add up to 0"),
        ("1 1 x 1 -1 0", "indices of a plane"),
        ("hcp", "is no family of a crystal with the cell"),
    ],
)
def test_what_is_wrong_with_a_system(word: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        slip_systems([word], 225, CUBIC)


def test_families_of_another_lattice() -> None:
    with pytest.raises(ParameterError, match="no family of a crystal"):
        slip_systems(["fcc"], 194, TITANIUM)


def test_four_indices_of_a_direction_are_those_of_weber() -> None:
    """[2 -1 -1 0]/3 is a, in the plane (0 1 -1 0)."""
    systems = slip_systems(["0 1 -1 0 2 -1 -1 0"], 194, TITANIUM)
    assert "(0 1 0)[1 0 0]" in systems.labels and len(systems) == 3
