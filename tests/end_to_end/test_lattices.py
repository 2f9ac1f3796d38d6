"""Every kind of lattice, as a table of spots, from the radius stage to grains (docs/accuracy.md#kinds-of-lattices)."""

from __future__ import annotations

from pathlib import Path

import pytest
from crystal_sets.lattices import LATTICES, MEASUREMENTS, Cell, measure
from crystal_sets.scoring import bravais_symmetry

#: one measurement for each kind, so that every one occurs
SOME = {
    "cubic I": "wedge 0.5",
    "trigonal P": "plain",
    "trigonal R": "tilts 3 5 -6",
    "monoclinic": "off-centre",
    "triclinic": "half turn",
}
EVERY = [(lattice, bench) for lattice in LATTICES for bench in MEASUREMENTS]
#: proper operations of the lattices
ORDERS = {"cubic P": 24, "cubic F": 24, "cubic I": 24, "hexagonal": 12, "trigonal P": 12, "trigonal R": 6}
ORDERS |= {"tetragonal": 8, "orthorhombic": 4, "monoclinic": 2, "triclinic": 1}
ORDERS |= {"c/a 1.01": 8, "beta 90.2": 2, "b/a 1.005": 4, "alpha 90.3": 6}


@pytest.mark.parametrize("name", LATTICES)
def test_the_judge_knows_the_symmetry(name: str) -> None:
    lattice = LATTICES[name]
    assert len(bravais_symmetry(lattice.cell, lattice.centring)) == ORDERS[name]


def all_right(lattice: str, bench: str, folder: Path) -> Cell:
    cell = measure(LATTICES[lattice], MEASUREMENTS[bench], folder)
    print(f"{lattice}, {bench}: {cell.strict}")
    assert cell.right, str(cell)
    return cell


@pytest.mark.parametrize(("lattice", "bench"), SOME.items())
def test_one_grain_for_each_crystal(lattice: str, bench: str, tmp_path: Path) -> None:
    angle, distance = all_right(lattice, bench, tmp_path).strict.worst
    assert angle < 0.015
    assert distance < 10


@pytest.mark.parametrize("lattice", ["b/a 1.005", "beta 90.2"])
def test_nearly_symmetric_crystals_are_one_grain_each(lattice: str, tmp_path: Path) -> None:
    all_right(lattice, "plain", tmp_path)


@pytest.mark.long
@pytest.mark.parametrize(("lattice", "bench"), [pair for pair in EVERY if SOME.get(pair[0]) != pair[1]])
def test_every_kind_in_every_measurement(lattice: str, bench: str, tmp_path: Path) -> None:
    all_right(lattice, bench, tmp_path)
