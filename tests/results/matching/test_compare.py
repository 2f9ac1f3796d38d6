"""`midas.results.matching.compare`: docs/theory/simulation.md#comparison-with-the-truth, and what must not matter."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from midas.experiment import crystal
from midas.experiment.orientation import matrices_from_quaternions, symmetry_operators
from midas.formats.grains import GRAINS, GrainsHeader
from midas.formats.table import Table
from midas.results.matching.compare import compare, spread, tensor_error
from midas.runtime.errors import FormatError, ParameterError

CUBIC = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
HEXAGONAL = (2.9505, 2.9505, 4.6826, 90.0, 90.0, 120.0)


def rotations(count: int, seed: int = 0) -> np.ndarray:
    q = np.random.default_rng(seed).standard_normal((count, 4))
    return matrices_from_quaternions(q / np.linalg.norm(q, axis=1, keepdims=True))


def grains(matrices: np.ndarray, positions: np.ndarray, cells: np.ndarray) -> Table:
    table = np.zeros((47, len(matrices)))
    table[0] = np.arange(1, len(matrices) + 1)
    table[1:10] = matrices.reshape(-1, 9).T
    table[10:13] = positions.T
    table[13:19] = cells.T
    table[23] = 1.0
    return Table(GRAINS.names, table)


def sample(count: int, cell: tuple[float, ...], strain: float, seed: int = 1) -> tuple[np.ndarray, ...]:
    random = np.random.default_rng(seed)
    spread = strain * (2 * random.random((count, 6)) - 1)
    cells = np.array(cell) * 1.0 + np.hstack([np.array(cell[:3]) * spread[:, :3], np.degrees(spread[:, 3:])])
    return rotations(count, seed), random.uniform(-300, 300, (count, 3)), cells


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])


def cell_of(axes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cell and orientation in the triangular convention of lattice vectors (columns) in the sample frame."""
    a, b, c = axes.T
    lengths = np.linalg.norm(axes, axis=0)
    angles = [np.degrees(np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y))) for x, y in ((b, c), (a, c), (a, b))]
    cell = np.array([*lengths, *angles])
    return cell, axes @ crystal.reciprocal_basis(cell).T


@pytest.mark.golden
@pytest.mark.parametrize(
    ("name", "step", "count", "angle", "position", "lattice", "kenesei", "confidence"),
    [
        ("au3", -0.25, 3, (0.048, 0.065, 0.069), (4.6, 5.9, 6.3), (87, 208), (108, 260), 1.00),
        ("ds1", 0.5, 100, (0.030, 0.062, 0.102), (1.8, 4.7, 7.4), (133, 780), (75, 911), 0.948),
        ("ds2", 0.5, 40, (0.035, 0.066, 0.108), (1.4, 3.4, 6.2), (137, 625), (32, 166), 0.974),
    ],
)
def test_figures_of_the_legacy_chain(golden, name, step, count, angle, position, lattice, kenesei, confidence) -> None:
    folder = golden(name)
    found = compare(folder / "GrainsSim.csv", folder / "Grains.csv", omega_step=step)
    assert (found.true_count, found.recovered, found.found_count, found.spurious) == (count, count, count, 0)
    np.testing.assert_allclose(spread(found.misorientation), angle, atol=5.1e-4)
    np.testing.assert_allclose(spread(found.distance), position, atol=0.051)
    np.testing.assert_allclose(1e6 * np.array(tensor_error(found.lattice_strain)), lattice, atol=0.51)
    np.testing.assert_allclose(1e6 * np.array(tensor_error(found.kenesei)), kenesei, atol=0.51)
    assert found.confidence.min() == pytest.approx(confidence, abs=5e-4)


@pytest.mark.golden
def test_mean_rotation_after_the_half_step(golden) -> None:
    """The tolerance: the lattice strain also turns a little."""
    folder = golden("ds2")
    found = compare(folder / "GrainsSim.csv", folder / "Grains.csv", omega_step=0.5)
    np.testing.assert_allclose(found.rotation.mean(axis=0), [0.003, 0.002, -0.005], atol=6e-4)


@pytest.mark.golden
def test_turned_positions_are_nearer(golden) -> None:
    folder = golden("ds1")
    plain, full = (
        compare(folder / "GrainsSim.csv", folder / "Grains.csv", omega_step=0.5, turn_positions=turn)
        for turn in (False, True)
    )
    assert np.median(full.distance) < 0.7 * np.median(plain.distance)
    np.testing.assert_allclose(full.misorientation, plain.misorientation, atol=1e-9)


@pytest.mark.parametrize(("cell", "group"), [(CUBIC, 225), (HEXAGONAL, 194)])
def test_equivalent_settings_of_a_strained_lattice_are_the_same(cell: tuple[float, ...], group: int) -> None:
    matrices, positions, cells = sample(12, cell, 2e-3)
    reference = np.linalg.inv(crystal.reciprocal_basis(cell)).T
    operators = matrices_from_quaternions(symmetry_operators(group))
    random = np.random.default_rng(3)
    others = []
    for matrix, one in zip(matrices, cells, strict=True):
        setting = np.rint(np.linalg.inv(reference) @ operators[random.integers(len(operators))] @ reference)
        others.append(cell_of(matrix @ np.linalg.inv(crystal.reciprocal_basis(one)).T @ setting))
    other = grains(np.array([m for _, m in others]), positions, np.array([c for c, _ in others]))
    found = compare(grains(matrices, positions, cells), other, space_group=group, lattice=cell)
    assert found.recovered == 12 and found.spurious == 0
    assert found.misorientation.max() < 1e-6
    assert tensor_error(found.lattice_strain)[1] < 1e-9


def test_known_differences_come_out() -> None:
    matrices, positions, cells = sample(6, CUBIC, 1e-3)
    cells_found = cells * [1.0005, 1.0005, 1.0005, 1, 1, 1]
    found = compare(
        grains(matrices, positions, cells),
        grains(turned(0.3) @ matrices, positions + [3.0, 4.0, 0.0], cells_found),
        space_group=225,
        lattice=CUBIC,
    )
    np.testing.assert_allclose(found.rotation, np.tile([0, 0, 0.3], (6, 1)), atol=1e-6)
    np.testing.assert_allclose(found.distance, 5)
    np.testing.assert_allclose(found.lattice_strain, np.tile(5e-4 * np.eye(3), (6, 1, 1)), atol=1e-9)
    assert found.fable is None and found.kenesei is None
    assert "eKen" not in found.table() and "6 true, 6 of them found, 0 spurious" in found.table()


@pytest.mark.parametrize("step", [0.5, -0.5])
def test_half_step_rule(step: float) -> None:
    matrices, positions, cells = sample(5, CUBIC, 1e-3)
    other = grains(turned(step / 2) @ matrices, positions @ turned(step / 2).T, cells)
    true = grains(matrices, positions, cells)
    found = compare(true, other, omega_step=step, space_group=225, lattice=CUBIC, turn_positions=True)
    assert found.misorientation.max() < 1e-6 and found.distance.max() < 1e-9
    found = compare(true, other, omega_step=step, space_group=225, lattice=CUBIC)
    assert found.misorientation.max() < 1e-6 and found.distance.max() > 0.1


def test_pairing_weighs_angle_and_position() -> None:
    """Of two candidates within a degree the nearer in 0.1° and 50 µm units is the partner, the other is spurious."""
    matrix, position, cell = np.eye(3)[None], np.zeros((1, 3)), np.array([CUBIC])
    near_angle = (turned(0.05) @ matrix, position + [200.0, 0, 0])
    near_place = (turned(0.3) @ matrix, position + [10.0, 0, 0])
    other = grains(
        *(np.concatenate(parts) for parts in zip(near_angle, near_place, strict=True)), np.tile(cell, (2, 1))
    )
    found = compare(grains(matrix, position, cell), other, space_group=225, lattice=CUBIC)
    assert found.found_row.tolist() == [1] and found.spurious == 1


def test_grains_more_than_a_degree_away_are_lost() -> None:
    matrices, positions, cells = sample(4, CUBIC, 0)
    other = matrices.copy()
    other[2] = turned(1.2) @ other[2]
    found = compare(grains(matrices, positions, cells), grains(other, positions, cells), space_group=225, lattice=CUBIC)
    assert found.true_row.tolist() == [0, 1, 3] and found.spurious == 1
    isolated = found.take([0, 2])
    assert (isolated.true_count, isolated.recovered, isolated.spurious) == (2, 1, 0)


def test_nothing_found() -> None:
    matrices, positions, cells = sample(3, CUBIC, 0)
    empty = grains(np.empty((0, 3, 3)), np.empty((0, 3)), np.empty((0, 6)))
    found = compare(grains(matrices, positions, cells), empty, space_group=225, lattice=CUBIC)
    assert (found.recovered, found.spurious) == (0, 0)
    assert "3 true, 0 of them found" in found.table()
    assert all(np.isnan(x) for x in (*spread(found.distance), *tensor_error(found.lattice_strain)))


def test_symmetry_comes_from_the_header_or_the_options(tmp_path: Path) -> None:
    table = grains(*sample(3, CUBIC, 1e-3))
    header = GrainsHeader(3, 0, 0, 0, 1, 225, CUBIC).text()
    GRAINS.write(tmp_path / "Grains.csv", table, header=header)
    assert compare(tmp_path / "Grains.csv", tmp_path / "Grains.csv").misorientation.max() < 1e-6
    (tmp_path / "bare.csv").write_text((tmp_path / "Grains.csv").read_text().replace("SpaceGroup", "Group"))
    with pytest.raises(FormatError, match="SpaceGroup"):
        compare(tmp_path / "Grains.csv", tmp_path / "bare.csv")
    with pytest.raises(ParameterError, match="space group"):
        compare(tmp_path / "Grains.csv", tmp_path / "Grains.csv", space_group=231)
    with pytest.raises(FormatError, match="nowhere"):
        compare(tmp_path / "nowhere.csv", tmp_path / "Grains.csv")
    with pytest.raises(ValueError, match="space_group"):
        compare(table, table)


def test_lists_of_different_crystals_are_worth_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = grains(*sample(3, CUBIC, 1e-3))
    for name, group in (("true.csv", 225), ("found.csv", 221)):
        GRAINS.write(tmp_path / name, table, header=GrainsHeader(3, 0, 0, 0, 1, group, CUBIC).text())
    compare(tmp_path / "true.csv", tmp_path / "found.csv")
    assert "225 of the true grains, 221 of the found ones" in caplog.text
    caplog.clear()
    compare(tmp_path / "true.csv", tmp_path / "found.csv", space_group=225)
    compare(tmp_path / "true.csv", tmp_path / "true.csv")
    assert not caplog.text


def test_a_trigonal_grain_in_either_description_and_a_rhombohedral_cell() -> None:
    """Turned by 60 degrees about c the spots of a primitive trigonal crystal are where they were, with its strain."""
    sixth = np.array([[1, -1, 0], [1, 0, 0], [0, 0, 1]])  # columns: other cell vectors of the same lattice
    cyclic = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    cases = ((164, HEXAGONAL, sixth, 5), (152, HEXAGONAL, sixth, 5), (167, HEXAGONAL, sixth, 0))
    for space_group, cell, change, recovered in (*cases, (167, (5.0, 5.0, 5.0, 55.3, 55.3, 55.3), cyclic, 5)):
        matrices, positions, cells = sample(5, cell, 1e-3)
        axes = matrices @ np.linalg.inv([crystal.reciprocal_basis(c) for c in cells]).transpose(0, 2, 1)
        others, turned_matrices = zip(*(cell_of(a @ change) for a in axes), strict=True)
        truth, found = (
            grains(matrices, positions, cells),
            grains(np.array(turned_matrices), positions, np.array(others)),
        )
        compared = compare(truth, found, space_group=space_group, lattice=cell)
        assert compared.recovered == recovered
        if recovered:
            assert compared.misorientation.max() < 1e-5
            assert np.abs(compared.lattice_strain).max() < 1e-9
