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
_SYSTEMS = {
    "monoclinic": "alpha = gamma = 90 (unique axis b)",
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
    if asymmetry(lattice, space_group(number)) <= _TOLERANCE:
        return
    system = gemmi.find_spacegroup_by_number(number).crystal_system_str()
    a, b, c, alpha, beta, gamma = lattice
    if system == "trigonal" and max(a, b, c) - min(a, b, c) < 1e-3 * a and alpha == beta == gamma:
        reason = f"space group {number} needs the hexagonal axes of the cell here ({_HEXAGONAL}), not the rhombohedral"
    else:
        reason = f"space group {number} is {system} and needs {_SYSTEMS[system]}; check LatticeParameter and SpaceGroup"
    yield subject.finding("LatticeParameter", reason)
