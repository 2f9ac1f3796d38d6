"""The cell: whether there can be such a one, and whether it has the symmetry of the space group."""

from __future__ import annotations

from collections.abc import Iterator

import gemmi

from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.subject import Subject
from midas.experiment.crystal import asymmetry, space_group, why_impossible

#: a cell further from the symmetry of its group than this is that of another crystal; the hkl list warns of less
_TOLERANCE = 0.02

_HEXAGONAL = "a = b, alpha = beta = 90 and gamma = 120"
_RHOMBOHEDRAL = "a = b = c and alpha = beta = gamma other than 90"
_SYSTEMS = {
    "monoclinic": "two angles of 90",
    "orthorhombic": "three angles of 90",
    "tetragonal": "a = b and three angles of 90",
    "trigonal": _HEXAGONAL,
    "hexagonal": _HEXAGONAL,
    "cubic": "a = b = c and three angles of 90",
}


def cell(subject: Subject) -> Iterator[Finding]:
    """What is wrong with `LatticeParameter`, by itself and for `SpaceGroup`."""
    if not subject.given("LatticeParameter"):
        return
    lattice = subject.values["LatticeParameter"]
    if reason := why_impossible(lattice):
        yield subject.finding("LatticeParameter", reason)
        return
    if not subject.given("SpaceGroup"):
        return
    number = int(subject.values["SpaceGroup"])
    word = subject.get("SpaceGroupSetting")
    try:
        group = space_group(number, lattice, word)
    except ValueError as error:
        yield subject.finding("SpaceGroupSetting", str(error))
        return
    if asymmetry(lattice, group) <= _TOLERANCE:
        return
    system = gemmi.find_spacegroup_by_number(number).crystal_system_str()
    needed, keys = _SYSTEMS[system], "LatticeParameter and SpaceGroup"
    if space_group(number).setting.lattice == "rhombohedral":
        needed += f", or {_RHOMBOHEDRAL}"
    if word:
        needed, keys = f"the axes of {group.setting.symbol}", "LatticeParameter and SpaceGroupSetting"
    yield subject.finding("LatticeParameter", f"space group {number} is {system} and needs {needed}; check {keys}")
