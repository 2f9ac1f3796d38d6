"""The table of materials: on the page as in the program, names that are one thing, numbers of the right size."""

from __future__ import annotations

from pathlib import Path

import pytest

from midas.results.stress import Stiffness
from midas.results.stress.materials import MATERIALS, material
from midas.results.stress.slip import FAMILIES, GROUPS

PAGE = Path(__file__).parents[3] / "docs" / "theory" / "stress.md"


def test_the_page_has_the_table() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for one in MATERIALS:
        names = ", ".join(f"`{name}`" for name in one.names)
        constants = ", ".join(f"{name} {value:g}" for name, value in one.constants)
        slip = ", ".join(f"`{name}`" for name in one.slip) or "–"
        assert f"| {names} | {one.title} | {one.space_group} | {constants} | {slip} | {one.source} |" in text


def test_names_are_one_thing() -> None:
    names = [name for one in MATERIALS for name in one.names]
    assert len(names) == len(set(names)) and all(name == name.lower() for name in names)
    assert material("NICKEL") is material("ni") is not None and material("x") is None
    assert all(slip in FAMILIES or slip in GROUPS for one in MATERIALS for slip in one.slip)


#: bulk moduli of other measurements, under pressure or of polycrystals (GPa), to tell a slip of the pen
BULK = {
    "al": 76, "cu": 138, "ni": 184, "au": 171, "ag": 101, "fe": 168, "w": 310, "ta": 191, "nb": 171, "mo": 262,
    "v": 158, "cr": 160, "si": 98, "ge": 75, "diamond": 443, "mgo": 162, "ceo2": 204, "ti": 107, "zr": 95, "mg": 35,
    "zn": 65, "co": 190, "be": 116, "al2o3": 252,
}  # fmt: skip


@pytest.mark.parametrize("name", BULK)
def test_bulk_moduli(name: str) -> None:
    assert Stiffness.of_material(name).reuss_average[0] == pytest.approx(BULK[name], rel=0.06)
