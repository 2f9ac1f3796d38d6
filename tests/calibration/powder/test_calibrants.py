"""Powders by name, file and cell, and their rings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from powder_images.lines import face_centred, lines, primitive

from midas.calibration.powder.calibrants import Calibrant, apart, calibrant, calibrants_of, rings_of
from midas.experiment.crystal import reflections
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, UsageError

CIF = """data_x
_cell_length_a 4.759091(8)
_cell_length_b 4.759091(8)
_cell_length_c 12.991779(20)
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 120
_space_group_name_H-M_alt 'R -3 c :H'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Al1 Al 0 0 0.3522
O1 O 0.3062 0 0.25
"""


@pytest.mark.parametrize(("name", "edge", "rule"), [("CeO2", 5.411651, face_centred), ("LaB6", 4.156826, primitive)])
def test_rings_of_a_cube(name: str, edge: float, rule) -> None:
    """Spacings and multiplicities from the index rule, rings of equal spacing (511, 333) once."""
    rings = rings_of([calibrant(name)], 0.172973, 20.0)
    wanted = lines((edge, edge, edge), rule, rings.d_spacing[-1] - 1e-6)
    np.testing.assert_allclose(rings.d_spacing, wanted.d_spacing, rtol=1e-9)
    np.testing.assert_array_equal(rings.multiplicity, wanted.multiplicity)
    np.testing.assert_array_equal(rings.number, np.arange(1, len(rings) + 1))
    assert rings.two_theta(0.172973)[-1] <= 20.0


def test_numbers_are_those_of_the_hkl_list(tmp_path: Path) -> None:
    """Also for a crystal that is not cubic."""
    text = "LatticeConstant 4.759091 4.759091 12.991779 90 90 120\nSpaceGroup 167\nWavelength 0.2\nLsd 1000000\n"
    (tmp_path / "ps.txt").write_text(text + "RhoD 300000\nMaxRingRad 300000\n")
    table = reflections(Parameters.read(tmp_path / "ps.txt"))
    rings = rings_of([calibrant("Al2O3")], 0.2, np.degrees(np.arctan(0.3)))
    for number, spacing, multiplicity in zip(rings.number, rings.d_spacing, rings.multiplicity, strict=True):
        rows = table["ring"] == number
        assert rows.sum() == multiplicity
        assert table["d_spacing"][rows].mean() == pytest.approx(spacing, rel=1e-12)
    assert len(rings) == table["ring"].max()


def test_a_file_is_as_good_as_a_name(tmp_path: Path) -> None:
    (tmp_path / "corundum.cif").write_text(CIF)
    found, named = calibrant(str(tmp_path / "corundum.cif")), calibrant("al2o3")
    assert found.name == "corundum.cif"
    assert (found.space_group, found.cell) == (named.space_group, named.cell)
    np.testing.assert_array_equal(rings_of([found], 0.2, 20).d_spacing, rings_of([named], 0.2, 20).d_spacing)


def test_a_cell() -> None:
    assert calibrant("225 5.4116") == calibrant("225 5.4116 5.4116 5.4116 90 90 90").__class__(
        "225 5.4116", 225, (5.4116, 5.4116, 5.4116, 90.0, 90.0, 90.0)
    )
    assert calibrant("139 3.8 3.8 5.5 90 90 90").space_group == 139


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ceo", "must be one of CeO2, LaB6, Si, Al2O3, the name of a .cif file, or"),
        ("225 a", "must be one of"),
        ("167 4.76", "needs a b c alpha beta gamma"),
        ("231 5 5 5 90 90 90", "1 to 230"),
        ("225.5 5", "1 to 230"),
        ("225 5 6 5 90 90 90", "lacks the symmetry of space group 225"),
        ("225 -5", "the cell must be six positive numbers"),
    ],
)
def test_what_is_no_calibrant(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        calibrant(text)
    assert error.value.exit_code == 2
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "no such file"),
        ("not a cif", "is not a readable CIF"),
        ("data_x\n_cell_length_a 5\n", "has no cell|has no space group"),
        (CIF.replace("'R -3 c :H'", "'Q 5'"), "has no space group"),
        (CIF[CIF.index("_space") :].join(["data_x\n", ""]), "has no cell"),
    ],
)
def test_what_is_no_crystal(content: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.cif"
    if content is not None:
        path.write_text(content)
    with pytest.raises(FormatError, match=said):
        calibrant(str(path))


def test_a_mixture() -> None:
    """Rings of both, and without those that are too near to one of the other."""
    powders = calibrants_of("CeO2, LaB6")
    wavelength, lsd, px = 0.172973, 1e6, 200.0
    both = rings_of(powders, wavelength, 12.0)
    alone = [rings_of([powder], wavelength, 12.0) for powder in powders]
    assert len(both) == sum(map(len, alone))
    assert np.all(np.diff(both.d_spacing) < 0)
    radius = lsd / px * np.tan(np.radians(both.two_theta(wavelength)))
    kept = apart(both, wavelength, lsd, px, 12.0)
    near = [sorted(abs(radius - one))[1] for one in radius]
    np.testing.assert_array_equal(kept.number, both.number[np.array(near) >= 12])
    assert 0 < len(kept) < len(both)


def test_a_powder_twice_is_one() -> None:
    """Rings of equal spacing are one, with the planes of both."""
    twice = rings_of([calibrant("CeO2"), Calibrant("again", 225, (5.411651,) * 3 + (90.0,) * 3)], 0.2, 10.0)
    once = rings_of([calibrant("CeO2")], 0.2, 10.0)
    np.testing.assert_array_equal(twice.multiplicity, 2 * once.multiplicity)
    np.testing.assert_allclose(twice.d_spacing, once.d_spacing, rtol=1e-14)
