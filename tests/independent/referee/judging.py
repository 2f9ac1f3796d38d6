"""Found grains against true crystals: lattices are compared, in whichever setting fits best."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .crystals import Crystal, axes_of, lattice_symmetry
from .lists import FoundGrain
from .rotations import Z_AXIS, about

Array = NDArray[np.float64]

#: a found grain further away than this is another one, degrees and µm
_FARTHEST = (1.0, 200.0)
#: differences that count the same when partners are chosen, degrees and µm
_UNITS = (0.1, 50.0)


@dataclass(frozen=True)
class Verdict:
    """What became of the crystals.

    Parameters
    ----------
    missing : rows of true crystals that nobody found
    spurious : found grains that are nobody's partner
    angle, distance, strain : (k,) errors of the found ones: degrees, µm, largest component in 1e-6
    shift : (k, 3) found minus true position, µm
    completeness : (k,) as the list says
    """

    missing: tuple[int, ...]
    spurious: int
    angle: Array
    distance: Array
    strain: Array
    shift: Array
    completeness: Array

    def __str__(self) -> str:
        found = len(self.angle)
        head = f"{found} of {found + len(self.missing)} found, {self.spurious} spurious"
        if not found:
            return head
        return (
            f"{head}; position {np.median(self.distance):.2f} (max {self.distance.max():.2f}) µm, "
            f"rotation {np.median(self.angle):.4f} (max {self.angle.max():.4f}) °, "
            f"strain {np.median(self.strain):.0f} (max {self.strain.max():.0f}) e-6, "
            f"completeness from {self.completeness.min():.2f}"
        )


def judge(true: Sequence[Crystal], found: Sequence[FoundGrain], turn: float) -> Verdict:
    """Compare a grain list with the truth.

    Parameters
    ----------
    true : crystals, all of one kind
    found : the grain list
    turn : angle about the sample's z by which the list is turned against the truth, degrees: half a frame where frames
        are named by the angle at which they begin
    """
    symmetry, about_z = lattice_symmetry(true[0].cell), about(Z_AXIS, turn)
    errors = np.array([[_difference(t, f, symmetry, about_z) for f in found] for t in true]).reshape(len(true), -1, 3)
    cost = errors[:, :, 0] / _UNITS[0] + errors[:, :, 1] / _UNITS[1]
    cost[(errors[:, :, 0] > _FARTHEST[0]) | (errors[:, :, 1] > _FARTHEST[1])] = np.inf
    pairs: list[tuple[int, int]] = []
    for row in range(len(true)):
        # Every true crystal takes its nearest; two that take the same grain are one found and one missing.
        if len(found) and np.isfinite(cost[row]).any():
            best = int(np.argmin(cost[row]))
            if cost[row, best] == cost[:, best].min():
                pairs.append((row, best))
    rows, columns = (np.array([pair[i] for pair in pairs], np.intp) for i in (0, 1))
    shift = [found[f].position - about_z @ true[t].position for t, f in pairs]
    angle, distance, strain = errors[rows, columns].T
    return Verdict(
        tuple(sorted(set(range(len(true))) - set(rows.tolist()))),
        len(found) - len(set(columns.tolist())),
        angle,
        distance,
        strain,
        np.array(shift).reshape(-1, 3),
        np.array([found[f].completeness for _, f in pairs]),
    )


def _difference(true: Crystal, found: FoundGrain, symmetry: Array, about_z: Array) -> tuple[float, float, float]:
    """Angle (degrees), distance (µm) and largest strain component (1e-6) between the two."""
    lattice = found.orientation @ axes_of(found.cell)
    stretch = lattice @ symmetry @ np.linalg.inv(about_z @ true.lattice())
    left, _, right = np.linalg.svd(stretch)
    turns = left @ right
    sine = np.stack([turns[:, i, j] - turns[:, j, i] for i, j in ((2, 1), (0, 2), (1, 0))], axis=-1)
    angle = np.degrees(np.arctan2(np.linalg.norm(sine, axis=1), np.trace(turns, axis1=1, axis2=2) - 1))
    best = int(np.argmin(angle))
    strain = stretch[best] @ turns[best].T - np.eye(3)
    distance = np.linalg.norm(found.position - about_z @ true.position)
    return float(angle[best]), float(distance), float(1e6 * np.abs(strain).max())
