"""How well grains were found: a reconstruction against the truth (docs/theory/simulation.md#comparison-with-the-truth).

Lattices are compared, not matrices: in the triangular cell convention the orientation matrices of symmetry-equivalent
settings of a strained cell differ by up to the shear strain.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.experiment import crystal
from midas.experiment.orientation import (
    matrices_from_quaternions,
    misorientation,
    nearest_rotations,
    quaternions_from_matrices,
    symmetry_operators,
)
from midas.formats.grains import CELL, FABLE, KENESEI, ORIENTATION, POSITION, read_crystal, read_grains
from midas.formats.table import Table
from midas.results.matching.lattice import direct_axes, rotation_vectors
from midas.runtime.errors import FormatError, UsageError

#: a found grain is a candidate for a true one within this misorientation (degrees)
_FARTHEST = 1.0
#: misorientation (degrees) and distance (µm) that count the same when candidates are ranked
_ANGLE_UNIT, _DISTANCE_UNIT = 0.1, 50.0
_PAIRS_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Comparison:
    """Differences between found and true grains; one entry per recovered grain, in the order of the truth.

    Parameters
    ----------
    true_count, found_count : grains in either list
    true_row, found_row : (k,) rows of the partners
    grain_id : (k,) of the found grain
    true_position, found_position : (k, 3) µm
    rotation : (k, 3) rotation vector from truth to found, sample frame, degrees
    misorientation : (k,) degrees
    lattice_strain : (k, 3, 3) left stretch from the true to the found lattice minus 1, sample frame
    fable, kenesei : (k, 3, 3) errors of the tensors eFab, eKen, sample frame; None when `found` has no such columns
    confidence : (k,)
    """

    true_count: int
    found_count: int
    true_row: NDArray[np.intp]
    found_row: NDArray[np.intp]
    grain_id: NDArray[np.int64]
    true_position: NDArray[np.float64]
    found_position: NDArray[np.float64]
    rotation: NDArray[np.float64]
    lattice_strain: NDArray[np.float64]
    fable: NDArray[np.float64] | None
    kenesei: NDArray[np.float64] | None
    confidence: NDArray[np.float64]

    @property
    def misorientation(self) -> NDArray[np.float64]:
        angle: NDArray[np.float64] = np.linalg.norm(self.rotation, axis=1)
        return angle

    @property
    def distance(self) -> NDArray[np.float64]:
        """From the true to the found position, µm."""
        length: NDArray[np.float64] = np.linalg.norm(self.found_position - self.true_position, axis=1)
        return length

    @property
    def recovered(self) -> int:
        """True grains that have a partner."""
        return len(self.true_row)

    @property
    def spurious(self) -> int:
        """Found grains that are nobody's partner."""
        return self.found_count - len(np.unique(self.found_row))

    def take(self, true_rows: Sequence[int] | NDArray[np.intp]) -> Comparison:
        """The comparison of some true grains only; the others and surplus found grains are left out of account."""
        kept = np.flatnonzero(np.isin(self.true_row, true_rows))
        partners = self.found_row[kept]
        return Comparison(
            len(np.unique(true_rows)),
            len(np.unique(partners)),
            self.true_row[kept],
            partners,
            self.grain_id[kept],
            self.true_position[kept],
            self.found_position[kept],
            self.rotation[kept],
            self.lattice_strain[kept],
            None if self.fable is None else self.fable[kept],
            None if self.kenesei is None else self.kenesei[kept],
            self.confidence[kept],
        )

    def grain_table(self) -> str:
        """Every true grain that was found, beside its partner, as text."""
        head = (
            "true        X        Y        Z (µm)    found        X        Y        Z (µm)  "
            "angle (°)  distance (µm)  strain error (1e-6)  confidence"
        )
        strain = 1e6 * np.sqrt(np.mean(self.lattice_strain**2, axis=(1, 2)))
        rows = zip(
            *(self.true_row + 1, self.true_position, self.grain_id, self.found_position),
            *(self.misorientation, self.distance, strain, self.confidence),
            strict=True,
        )
        return "\n".join(
            [head]
            + [
                f"{true:4d} {a[0]:8.1f} {a[1]:8.1f} {a[2]:8.1f}     {found:8d} {b[0]:8.1f} {b[1]:8.1f} {b[2]:8.1f}     "
                f"{angle:10.4f} {distance:14.2f} {error:20.1f} {confidence:11.3f}"
                for true, a, found, b, angle, distance, error, confidence in rows
            ]
        )

    def table(self) -> str:
        """The comparison as text."""
        lines = [f"grains: {self.true_count} true, {self.recovered} of them found, {self.spurious} spurious"]
        if not self.recovered:
            return lines[0]
        for name, values, unit in (
            ("misorientation", self.misorientation, "°"),
            ("position error", self.distance, "µm"),
        ):
            median, p90, largest = spread(values)
            lines.append(f"{name}: median {median:.4f}, p90 {p90:.4f}, max {largest:.4f} {unit}")
        turn = ", ".join(f"{x:+.4f}" for x in self.rotation.mean(axis=0))
        lines.append(f"mean rotation about x, y, z: {turn} °")
        for name, tensor in (
            ("lattice strain error", self.lattice_strain),
            ("eFab error", self.fable),
            ("eKen error", self.kenesei),
        ):
            if tensor is not None:
                rms, largest = tensor_error(tensor)
                lines.append(f"{name}: rms {1e6 * rms:.1f}, max {1e6 * largest:.1f} × 1e-6")
        lines.append(f"smallest confidence: {self.confidence.min():.3f}")
        return "\n".join(lines)


def spread(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Median, 90th percentile and maximum; NaN when there are none."""
    if not len(values):
        return (np.nan, np.nan, np.nan)
    return float(np.median(values)), float(np.percentile(values, 90)), float(values.max())


def tensor_error(tensors: NDArray[np.float64]) -> tuple[float, float]:
    """Root mean square and largest magnitude of all components of (k, 3, 3) tensors; NaN when there are none."""
    if not len(tensors):
        return np.nan, np.nan
    return float(np.sqrt(np.mean(tensors**2))), float(np.abs(tensors).max())


def compare(
    true: Path | Table,
    found: Path | Table,
    *,
    omega_step: float = 0.0,
    space_group: int | None = None,
    lattice: Sequence[float] | None = None,
    turn_positions: bool = False,
) -> Comparison:
    """Compare a reconstruction with the truth.

    Parameters
    ----------
    true : grain list of the simulation (Grains.csv form), or its table in the layout `midas.formats.grains.GRAINS`
    found : Grains.csv of the analysis, or its table
    omega_step : rotation per frame, degrees, signed. A frame gets the angle at its beginning, the spots lie on average
        in its middle: the reconstruction is turned by half a step about z, and so are the true orientations before
        they are compared.
    space_group, lattice : symmetry and unstrained cell; by default from the header of `found`
    turn_positions : turn true positions and strain tensors as well. The legacy programs' figures leave them as they
        are, which adds half a step times the distance from the axis to the position errors (1.7 µm at 400 µm and 0.5°).
    """
    space_group, cell = _crystal(found, space_group, lattice)
    reference = direct_axes(np.array([cell], np.float64))[0]
    operators = symmetry_operators(space_group, cell)
    truth, reconstruction = _Grains(true), _Grains(found)
    if turn_positions:
        truth.turn(0.5 * omega_step)
    positions, expected = truth.positions, truth.strain(reference)
    if not turn_positions:
        truth.turn(0.5 * omega_step)

    pairs = list(_partners(truth, reconstruction, operators, reference))
    true_row = np.array([t for t, _ in pairs], np.intp)
    found_row = np.array([f for _, f in pairs], np.intp)
    rotation, strain = _lattice_differences(truth, reconstruction, true_row, found_row, operators, reference)
    return Comparison(
        true_count=len(truth),
        found_count=len(reconstruction),
        true_row=true_row,
        found_row=found_row,
        grain_id=reconstruction.table.integers("GrainID")[found_row],
        true_position=positions[true_row],
        found_position=reconstruction.positions[found_row],
        rotation=rotation,
        lattice_strain=strain,
        fable=reconstruction.errors(FABLE, found_row, expected[true_row]),
        kenesei=reconstruction.errors(KENESEI, found_row, expected[true_row]),
        confidence=reconstruction.table["Confidence"][found_row],
    )


def _crystal(
    found: Path | Table, space_group: int | None, lattice: Sequence[float] | None
) -> tuple[int, Sequence[float]]:
    """Space group and unstrained cell; what is not given is in the header of the grain list."""
    if space_group is None or lattice is None:
        if isinstance(found, Table):
            raise ValueError("a table has no header: space_group and lattice are needed")
        header_group, header_cell = read_crystal(found)
        space_group = header_group if space_group is None else space_group
        lattice = header_cell if lattice is None else lattice
    if reason := crystal.why_impossible(lattice):
        raise UsageError(f"{reason}; give the unstrained cell", key="--lattice", value=" ".join(map(str, lattice)))
    return space_group, lattice


class _Grains:
    """A grain list as rotations, positions and lattices."""

    def __init__(self, source: Path | Table):
        self.table = source if isinstance(source, Table) else read_grains(source)
        cells = self.table.numbers(CELL)
        for grain, cell in zip(self.table["GrainID"], cells, strict=True):
            if reason := crystal.why_impossible(cell):
                file = None if isinstance(source, Table) else source
                raise FormatError(f"cell of grain {grain:g}: {reason}", file=file)
        self.rotations = nearest_rotations(self.table.numbers(ORIENTATION).reshape(-1, 3, 3))
        self.positions = self.table.numbers(POSITION)
        self.axes = direct_axes(cells)
        self.has_tensors = bool(self.table.numbers((*FABLE, *KENESEI)).any())

    def __len__(self) -> int:
        return len(self.table)

    def turn(self, degrees: float) -> None:
        """Rotate the sample about z."""
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        about_z = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
        self.rotations = about_z @ self.rotations
        self.positions = self.positions @ about_z.T

    def lattices(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """(k, 3, 3) cell vectors in the sample frame, as columns."""
        return self.rotations[rows] @ self.axes[rows]

    def strain(self, reference: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3, 3) strain of each cell against the reference one, sample frame.

        See docs/theory/grains.md#strain-from-the-cell.
        """
        gradient = self.axes @ np.linalg.inv(reference)
        strain = 0.5 * (gradient + gradient.transpose(0, 2, 1)) - np.eye(3)
        return self.rotations @ strain @ self.rotations.transpose(0, 2, 1)

    def errors(
        self, tensor: Sequence[str], rows: NDArray[np.intp], expected: NDArray[np.float64]
    ) -> NDArray[np.float64] | None:
        """(k, 3, 3) differences of a tensor of the table, dimensionless; None when the table has no tensors."""
        if not self.has_tensors:
            return None
        return 1e-6 * self.table.numbers(tensor).reshape(-1, 3, 3)[rows] - expected


def _partners(
    truth: _Grains, found: _Grains, operators: NDArray[np.float64], reference: NDArray[np.float64]
) -> Iterator[tuple[int, int]]:
    """True grain and the found grain that is nearest in misorientation and position together."""
    q_true, q_found = (quaternions_from_matrices(g.rotations) for g in (truth, found))
    block = max(_PAIRS_AT_ONCE // max(len(found) * len(operators), 1), 1)
    for start in range(0, len(truth), block):
        # Matrices may be turned against lattices by the strain, a small fraction of a degree.
        rough = misorientation(q_true[start : start + block, None], q_found[None], operators)
        rows, candidates = np.nonzero(rough < 1.5 * _FARTHEST)
        rows += start
        rotation, _ = _lattice_differences(truth, found, rows, candidates, operators, reference)
        angle = np.linalg.norm(rotation, axis=1)
        distance = np.linalg.norm(found.positions[candidates] - truth.positions[rows], axis=1)
        cost = np.where(angle <= _FARTHEST, angle / _ANGLE_UNIT + distance / _DISTANCE_UNIT, np.inf)
        for row in np.unique(rows):
            mine = np.flatnonzero(rows == row)
            best = mine[np.argmin(cost[mine])]
            if np.isfinite(cost[best]):
                yield int(row), int(candidates[best])


def _lattice_differences(
    truth: _Grains,
    found: _Grains,
    true_rows: NDArray[np.intp],
    found_rows: NDArray[np.intp],
    operators: NDArray[np.float64],
    reference: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Rotation vectors (k, 3) in degrees and strains (k, 3, 3) that carry true lattices to found ones."""
    settings = np.rint(np.linalg.inv(reference) @ matrices_from_quaternions(operators) @ reference)
    inverse = np.linalg.inv(truth.lattices(true_rows))
    # (k, s, 3, 3): the found lattice in every equivalent setting, against the true one
    carried = found.lattices(found_rows)[:, None] @ settings @ inverse[:, None]
    rotations = nearest_rotations(carried)
    best = np.trace(rotations, axis1=-2, axis2=-1).argmax(axis=1)
    chosen = np.arange(len(true_rows))
    rotation = rotations[chosen, best]
    strain = carried[chosen, best] @ rotation.transpose(0, 2, 1) - np.eye(3)
    return rotation_vectors(quaternions_from_matrices(rotation)), strain
