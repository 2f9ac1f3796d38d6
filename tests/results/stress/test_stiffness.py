"""Hooke's law of a single crystal: closed forms, an independent contraction, and what does not depend on the frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from midas.experiment.setting import setting_of
from midas.results.stress import Stiffness, stresses, tensors
from midas.results.stress.crystal import told_by_the_spots
from midas.results.stress.materials import MATERIALS
from midas.runtime.errors import ParameterError

from .ensembles import contracted, symmetric

NICKEL = {"C11": 250.8, "C12": 150.0, "C44": 123.5}
MONOCLINIC = (5.15, 5.2, 5.3, 90.0, 99.2, 90.0)
TRICLINIC = (8.1, 12.8, 7.2, 94.3, 116.6, 87.7)
#: of a rhombohedral lattice, and the hexagonal cell of the same
RHOMBOHEDRAL = (5.128, 5.128, 5.128, 55.28, 55.28, 55.28)

ROTATIONS = st.integers(0, 2**32 - 1).map(lambda seed: Rotation.random(random_state=seed).as_matrix())
STRAINS = arrays(np.float64, (3, 3), elements=st.floats(-3000, 3000)).map(lambda t: (t + t.T) / 2)
NAMES = st.sampled_from([one.names[0] for one in MATERIALS])


def full(seed: int) -> np.ndarray:
    """A positive definite Voigt matrix without any symmetry."""
    half = np.random.default_rng(seed).normal(0, 15, (6, 6))
    return half @ half.T + 100 * np.eye(6)


def test_isotropic_hooke() -> None:
    """lambda tr(e) + 2 mu e, whatever the orientation."""
    lam, mu = 60.0, 26.0
    stiffness = Stiffness.from_constants({"C11": lam + 2 * mu, "C12": lam, "C44": mu}, 225)
    rng = np.random.default_rng(1)
    strain = symmetric(rng, 20, 1000.0)
    u = Rotation.random(20, random_state=2).as_matrix()
    trace = np.trace(strain, axis1=1, axis2=2)
    expected = (lam * trace[:, None, None] * np.eye(3) + 2 * mu * strain) * 1e-3
    np.testing.assert_allclose(stresses(strain, u, stiffness), expected, rtol=1e-12, atol=1e-10)
    assert stiffness.voigt_average == pytest.approx((lam + 2 * mu / 3, mu))
    assert stiffness.reuss_average == pytest.approx((lam + 2 * mu / 3, mu))


@pytest.mark.parametrize(
    ("direction", "j"), [((1, 0, 0), 0.0), ((1, 1, 0), 0.25), ((1, 1, 1), 1 / 3), ((1, 1, 2), 0.25)]
)
def test_uniaxial_load_on_a_cubic_crystal(direction: tuple[int, int, int], j: float) -> None:
    """1/E = S11 - 2 (S11 - S12 - S44/2) J, and a sample that is pulled along it feels nothing else."""
    c11, c12, c44 = NICKEL.values()
    s11 = (c11 + c12) / ((c11 - c12) * (c11 + 2 * c12))
    s12 = -c12 / ((c11 - c12) * (c11 + 2 * c12))
    young = 1 / (s11 - 2 * (s11 - s12 - 0.5 / c44) * j)
    stiffness = Stiffness.from_constants(NICKEL, 225)
    assert stiffness.young_modulus(direction) == pytest.approx(young, rel=1e-12)
    # The strain of 300 MPa along the direction, which lies along z of the sample.
    turn, _ = Rotation.align_vectors([(0, 0, 1)], [direction])
    u = turn.as_matrix()
    pulled = np.zeros((3, 3))
    pulled[2, 2] = 300.0
    strain = tensors.from_mandel(np.linalg.solve(stiffness.in_sample(u), tensors.mandel(pulled)))
    assert strain[2, 2] == pytest.approx(300.0 / young * 1e3)
    np.testing.assert_allclose(stiffness.stress(strain, u), pulled, atol=1e-9)


def test_averages_of_cubic_and_hexagonal_polycrystals() -> None:
    """The closed forms of Voigt and Reuss."""
    c11, c12, c44 = NICKEL.values()
    cubic = Stiffness.from_constants(NICKEL, 225)
    bulk, reuss = (c11 + 2 * c12) / 3, 5 * (c11 - c12) * c44 / (4 * c44 + 3 * (c11 - c12))
    assert cubic.voigt_average == pytest.approx((bulk, (c11 - c12 + 3 * c44) / 5))
    assert cubic.reuss_average == pytest.approx((bulk, reuss))
    c11, c12, c13, c33, c44 = 163.68, 36.40, 53.00, 63.47, 38.79
    zinc = Stiffness.of_material("Zn")
    bulk = (2 * (c11 + c12) + c33 + 4 * c13) / 9
    shear = (c11 + c12 + 2 * c33 - 4 * c13 + 12 * c44 + 6 * (c11 - c12)) / 30
    assert zinc.voigt_average == pytest.approx((bulk, shear))
    part = c11 + c12 + 2 * c33 - 4 * c13
    assert zinc.reuss_average[0] == pytest.approx(((c11 + c12) * c33 - 2 * c13**2) / part)


@pytest.mark.parametrize("seed", range(3))
def test_against_a_contraction_of_the_fourth_rank(seed: int) -> None:
    """A triclinic crystal, whose 21 constants are all different."""
    voigt = full(seed)
    stiffness = Stiffness.from_voigt(voigt, 2, TRICLINIC)
    np.testing.assert_allclose(stiffness.voigt, voigt, rtol=1e-12, atol=1e-10)
    strain = symmetric(np.random.default_rng(seed), 10, 1000.0)
    u = Rotation.random(10, random_state=seed).as_matrix()
    expected = [contracted(voigt, e, turn) for e, turn in zip(strain, u, strict=True)]
    np.testing.assert_allclose(stresses(strain, u, stiffness), expected, rtol=1e-10, atol=1e-8)
    turned = stiffness.rotate(u[0])
    np.testing.assert_allclose(turned.stress(strain[0]), expected[0], rtol=1e-10, atol=1e-8)
    np.testing.assert_allclose(stiffness.compliance @ stiffness.matrix, np.eye(6), atol=1e-12)


@given(NAMES, ROTATIONS, ROTATIONS, STRAINS)
def test_turning_crystal_and_strain_turns_the_stress(
    name: str, u: np.ndarray, r: np.ndarray, strain: np.ndarray
) -> None:
    stiffness = Stiffness.of_material(name)
    plain, turned = stiffness.stress(strain, u), stiffness.stress(r @ strain @ r.T, r @ u)
    np.testing.assert_allclose(turned, r @ plain @ r.T, atol=1e-7)
    np.testing.assert_allclose(tensors.from_mandel(tensors.mandel(strain)), strain, atol=1e-9)


@given(st.integers(0, 1000), ROTATIONS, STRAINS)
def test_every_strain_takes_energy(seed: int, u: np.ndarray, strain: np.ndarray) -> None:
    stiffness = Stiffness.from_voigt(full(seed), 2, TRICLINIC)
    energy = np.sum(stiffness.stress(strain, u) * strain)
    assert energy >= 0.99e-3 * np.linalg.eigvalsh(stiffness.matrix)[0] * np.sum(strain**2)


@pytest.mark.parametrize("one", MATERIALS, ids=lambda one: one.names[0])
def test_symmetry_changes_no_stress(one: object) -> None:
    """An orientation and its equivalents, of every material of the table; all are told by the positions of spots."""
    from midas.experiment.orientation import matrices_from_quaternions, symmetry_operators

    stiffness = Stiffness.of_material(one.names[0])
    u = Rotation.random(random_state=7).as_matrix()
    strain = symmetric(np.random.default_rng(3), 1, 1000.0)[0]
    expected = stiffness.stress(strain, u)
    for operator in matrices_from_quaternions(symmetry_operators(one.space_group)):
        np.testing.assert_allclose(stiffness.stress(strain, u @ operator), expected, atol=1e-9)
    cell = (3.0, 3.0, 5.0, 90.0, 90.0, 120.0) if one.space_group < 195 else (3.0, 3.0, 3.0, 90.0, 90.0, 90.0)
    assert told_by_the_spots(stiffness, one.space_group, cell)
    assert one.source and any(character.isdigit() for character in one.source)


@given(st.floats(-180, 180))
def test_a_hexagonal_crystal_is_the_same_all_around_its_axis(angle: float) -> None:
    titanium = Stiffness.of_material("Ti")
    turn = Rotation.from_euler("z", angle, degrees=True).as_matrix()
    np.testing.assert_allclose(titanium.rotate(turn).matrix, titanium.matrix, atol=1e-9)


def test_c14_and_the_axes() -> None:
    """Along a it is C14, in the frame of the suite, 30 degrees on, C15; half a turn about c changes its sign."""
    corundum = Stiffness.of_material("ruby")
    assert corundum.voigt[0, 4] == pytest.approx(23.5) and abs(corundum.voigt[0, 3]) < 1e-9
    back = corundum.rotate(Rotation.from_euler("z", 30, degrees=True).as_matrix())
    assert back.voigt[0, 3] == pytest.approx(23.5) and back.voigt[1, 3] == pytest.approx(-23.5)
    assert back.voigt[4, 5] == pytest.approx(23.5) and abs(back.voigt[0, 4]) < 1e-9
    about_a = Rotation.from_euler("x", 180, degrees=True).as_matrix()
    np.testing.assert_allclose(back.rotate(about_a).matrix, back.matrix, atol=1e-9)
    about_c = Rotation.from_euler("z", 180, degrees=True).as_matrix()
    assert corundum.rotate(about_c).voigt[0, 4] == pytest.approx(-23.5)


def test_rhombohedral_axes_describe_the_same_crystal() -> None:
    """The crystal frame of the rhombohedral cell is another one; the crystal in the sample stays as it is."""
    hexagonal = Stiffness.of_material("ruby")
    rhombohedral = Stiffness.of_material("ruby", 167, RHOMBOHEDRAL)
    u = Rotation.random(random_state=1).as_matrix()
    strain = symmetric(np.random.default_rng(5), 1, 1000.0)[0]
    other = u @ setting_of(167, RHOMBOHEDRAL).to_hexagonal_axes(RHOMBOHEDRAL)
    np.testing.assert_allclose(rhombohedral.stress(strain, other), hexagonal.stress(strain, u), atol=1e-9)


def test_other_axes_of_the_constants() -> None:
    """A hexagonal stiffness hears nothing of it; a trigonal one given along a* is that of the suite as it stands."""
    constants = {"C11": 496.8, "C12": 163.6, "C13": 110.9, "C15": 23.5, "C33": 498.1, "C44": 147.4}
    given_along_b = Stiffness.from_constants(constants, 167, axes=("x", "a*", "z", "c"))
    np.testing.assert_allclose(given_along_b.matrix, Stiffness.of_material("ruby").matrix, atol=1e-9)
    swapped = Stiffness.from_voigt(full(1), 2, TRICLINIC, axes=("y", "b*", "z", "c"))
    assert not np.allclose(swapped.voigt, full(1), atol=1.0)


@pytest.mark.parametrize(
    ("number", "cell", "names"),
    [
        (1, TRICLINIC, 21), (14, MONOCLINIC, 13), (62, None, 9), (83, None, 7), (139, None, 6), (148, None, 7),
        (167, None, 6), (167, RHOMBOHEDRAL, 6), (162, None, 6), (175, None, 5), (194, None, 5), (198, None, 3),
        (225, None, 3),
    ],
)  # fmt: skip
def test_number_of_constants(number: int, cell: tuple[float, ...] | None, names: int) -> None:
    from midas.results.stress.constants import independent, invariant
    from midas.results.stress.frames import frame_of

    basis = invariant(frame_of(number, cell))
    assert len(basis) == names == len(independent(basis))


@pytest.mark.parametrize(("unique", "names"), [(1, "C15 C25 C35 C46"), (2, "C16 C26 C36 C45"), (0, "C14 C24 C34 C56")])
def test_the_unique_axis_of_a_monoclinic_crystal(unique: int, names: str) -> None:
    from midas.results.stress.constants import independent, invariant
    from midas.results.stress.frames import frame_of

    angles = [90.0, 90.0, 90.0]
    angles[unique] = 99.0
    found = independent(invariant(frame_of(14, (5.15, 5.2, 5.3, *angles))))
    assert set(names.split()) <= set(found) and len(found) == 13


@pytest.mark.parametrize(
    ("constants", "number", "message"),
    [
        ({"C11": 250.0, "C12": 150.0}, 225, "missing: C44"),
        ({"C11": 250.0, "C12": 150.0, "C44": 120.0, "C66": 90.0}, 225, "symmetry of space group 225"),
        ({"C11": 250.0, "C12": 150.0, "C44": 120.0, "C14": 9.0}, 225, "C14: is 9"),
        ({"C11": 250.0, "C12": 150.0, "C44": -1.0}, 225, "not positive definite"),
        ({"C11": 250.0, "C12": 260.0, "C44": 120.0}, 225, "not positive definite"),
        ({"C11": 250.0, "C12": 150.0, "C44": float("nan")}, 225, "must be a number"),
        ({"C11": 250.0, "C12": 150.0, "C77": 1.0}, 225, "one of C11 ... C66"),
        ({"C11": 250.0, "C12": 150.0, "c21": 170.0, "C44": 120.0}, 225, "is symmetric"),
        ({"C11": 497.0, "C12": 164.0, "C13": 111.0, "C33": 498.0, "C44": 147.0}, 167, "missing: C14"),
        ({"C11": 250.0, "C12": 150.0, "C44": 120.0}, 14, "needs the cell"),
        ({"C11": 250.0, "C12": 150.0, "C44": 120.0}, 231, "space-group number"),
    ],
)
def test_what_is_wrong_with_constants(constants: dict[str, float], number: int, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Stiffness.from_constants(constants, number)


def test_what_is_wrong_with_a_matrix_or_a_name() -> None:
    matrix = Stiffness.of_material("Ni").voigt
    matrix[0, 1] += 5
    with pytest.raises(ParameterError, match="not symmetric: C12"):
        Stiffness.from_voigt(matrix, 225)
    with pytest.raises(ParameterError, match="6 x 6"):
        Stiffness.from_voigt(matrix[:3], 225)
    with pytest.raises(ParameterError, match="no material of the table"):
        Stiffness.of_material("unobtainium")
    with pytest.raises(ParameterError, match="is cubic, but space group 194 is hexagonal"):
        Stiffness.of_material("Ni", 194)
    with pytest.raises(ParameterError, match="not square"):
        Stiffness.from_constants(NICKEL, 194, axes=("x", "a", "y", "b"))
    with pytest.raises(ParameterError, match="twice"):
        Stiffness.from_constants(NICKEL, 225, axes=("x", "a", "x", "c"))


def test_orientations_that_the_spots_do_not_tell() -> None:
    """On a primitive hexagonal lattice the sign of C14 is not told, and C16 of a tetragonal crystal of class 4/m."""
    quartz = {"C11": 86.8, "C12": 7.0, "C13": 11.9, "C14": -18.0, "C33": 105.8, "C44": 58.2}
    cell = (4.91, 4.91, 5.41, 90.0, 90.0, 120.0)
    assert not told_by_the_spots(Stiffness.from_constants(quartz, 154, cell), 154, cell)
    assert told_by_the_spots(Stiffness.of_material("ruby"), 167, (4.76, 4.76, 12.99, 90.0, 90.0, 120.0))
    tetragonal = {"C11": 140.0, "C12": 60.0, "C13": 40.0, "C16": 17.0, "C33": 130.0, "C44": 34.0, "C66": 40.0}
    cell = (5.2, 5.2, 11.4, 90.0, 90.0, 90.0)
    assert not told_by_the_spots(Stiffness.from_constants(tetragonal, 88, cell), 88, cell)


@pytest.mark.parametrize(("unit", "told"), [(1e3, "C11: 250800.0: is too large"), (1e9, "large"), (1e-3, "small")])
def test_constants_in_another_unit(unit: float, told: str) -> None:
    """MPa, Pa and TPa: every stress would be wrong by the factor, and nothing would show it."""
    given = {name: value * unit for name, value in NICKEL.items()}
    with pytest.raises(ParameterError, match=f"{told}.*the unit is GPa"):
        Stiffness.from_constants(given, 225)
