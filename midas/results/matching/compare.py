"""How well grains were found: a reconstruction against the truth (docs/theory/simulation.md#comparison-with-the-truth).

Lattices are compared, not matrices: in the triangular cell convention the orientation matrices of symmetry-equivalent
settings of a strained cell differ by up to the shear strain.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, sin
from midas.experiment import crystal
from midas.experiment.orientation import (
    matrices_from_quaternions,
    nearest_rotations,
    quaternions_from_matrices,
    symmetry_operators,
)
from midas.formats.grains import CELL, FABLE, KENESEI, ORIENTATION, POSITION, read_crystal, read_grains
from midas.formats.table import Table
from midas.results.exchange import read_grain_list
from midas.results.exchange.own import is_grains
from midas.results.grain_list import GrainList
from midas.results.matching.assignment import assign
from midas.results.matching.candidates import Finder, Snapshot
from midas.results.matching.lattice import direct_axes, rotation_vectors
from midas.runtime.errors import FormatError, UsageError
from midas.runtime.files import read_bytes

log = logging.getLogger(__name__)

#: a found grain is a candidate for a true one within this misorientation (degrees)
_FARTHEST = 1.0
#: misorientation (degrees) and distance (µm) that count the same when candidates are ranked
_ANGLE_UNIT, _DISTANCE_UNIT = 0.1, 50.0

#: grain lists in every form that is compared
Source = Path | Table | GrainList


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
    confidence : (k,) NaN where the list does not tell it
    true_id : (k,) of the true grain
    lost, surplus : ids of true grains that have no partner, and of found ones that are nobody's
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
    true_id: NDArray[np.int64]
    lost: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    surplus: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))

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
            self.true_id[kept],
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
        if np.isfinite(self.confidence).any():
            lines.append(f"smallest confidence: {np.nanmin(self.confidence):.3f}")
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
    true: Source,
    found: Source,
    *,
    omega_step: float = 0.0,
    space_group: int | None = None,
    lattice: Sequence[float] | None = None,
    turn_positions: bool = False,
    one_to_one: bool = False,
) -> Comparison:
    """Compare a reconstruction with the truth, or with another one.

    Parameters
    ----------
    true : grain list of the simulation, or of another analysis, of any kind; its table in the layout
        `midas.formats.grains.GRAINS`, or the list itself
    found : the same of the analysis
    omega_step : rotation per frame, degrees, signed. A frame gets the angle at its beginning, the spots lie on average
        in its middle: the reconstruction is turned by half a step about z, and so are the true orientations before
        they are compared.
    space_group, lattice : symmetry and unstrained cell; by default what `found` tells, or else `true`
    turn_positions : turn true positions and strain tensors as well. The legacy programs' figures leave them as they
        are, which adds half a step times the distance from the axis to the position errors (1.7 µm at 400 µm and 0.5°).
    one_to_one : every grain has one partner at most, of all ways to pair them that of the least sum; else every true
        grain has the nearest, which may be that of another one, too
    """
    space_group, cell = _crystal(found, true, space_group, lattice)
    reference = direct_axes(np.array([cell], np.float64))[0]
    operators = symmetry_operators(space_group, cell)
    truth, reconstruction = _Grains(true, cell), _Grains(found, cell)
    positions, expected = _after_half_a_step(truth, omega_step, reference, turn_positions)
    true_row, found_row = _partners(truth, reconstruction, operators, reference, one_to_one)
    rotation, strain = _lattice_differences(truth, reconstruction, true_row, found_row, operators, reference)
    return Comparison(
        true_count=len(truth),
        found_count=len(reconstruction),
        true_row=true_row,
        found_row=found_row,
        grain_id=reconstruction.ids[found_row],
        true_position=positions[true_row],
        found_position=reconstruction.positions[found_row],
        rotation=rotation,
        lattice_strain=strain,
        fable=reconstruction.errors(FABLE, found_row, expected[true_row]),
        kenesei=reconstruction.errors(KENESEI, found_row, expected[true_row]),
        confidence=reconstruction.confidence[found_row],
        true_id=truth.ids[true_row],
        lost=np.delete(truth.ids, true_row),
        surplus=np.delete(reconstruction.ids, found_row),
    )


def _after_half_a_step(
    truth: _Grains, omega_step: float, reference: NDArray[np.float64], turn_positions: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Turn the truth; positions and strains that the reconstruction is compared with."""
    if turn_positions:
        truth.turn(0.5 * omega_step)
    positions, expected = truth.positions, truth.strain(reference)
    if not turn_positions:
        truth.turn(0.5 * omega_step)
    return positions, expected


def _crystal(
    found: Source, true: Source, space_group: int | None, lattice: Sequence[float] | None
) -> tuple[int, Sequence[float]]:
    """Space group and unstrained cell; what is not given is told by one of the lists."""
    if lattice is not None and (reason := crystal.why_impossible(lattice)):
        raise UsageError(f"{reason}; give the unstrained cell", key="--lattice", value=" ".join(map(str, lattice)))
    of_lists: list[int] = []
    given = space_group is not None
    for source in (found, true):
        if not given or lattice is None:
            told = _told(source)
            of_lists += [] if told[0] is None else [told[0]]
            space_group = told[0] if space_group is None else space_group
            lattice = told[1] if lattice is None else lattice
    if not given and len(set(of_lists)) > 1:
        of_found, of_true = of_lists
        log.warning(
            "space group %d of the true grains, %d of the found ones: all are compared as %d (--space-group)",
            of_true, of_found, of_found,
        )  # fmt: skip
    if space_group is None or lattice is None:
        if isinstance(found, Table):
            raise ValueError("a table has no header: space_group and lattice are needed")
        reason = "tells no SpaceGroup and unstrained cell; give --space-group and --lattice"
        raise FormatError(reason, file=found if isinstance(found, Path) else found.name)
    return space_group, lattice


def _told(source: Source) -> tuple[int | None, Sequence[float] | None]:
    """What a list says of its crystal."""
    if isinstance(source, Table):
        return None, None
    if isinstance(source, Path):
        if _is_ours(source):
            return read_crystal(source)
        source = read_grain_list(source)
    return source.space_group, source.cell


def _is_ours(path: Path) -> bool:
    """Whether it is a ``Grains.csv``, whose columns are all compared; what cannot be read is one that is missing."""
    return not path.is_dir() and is_grains(read_bytes(path, advice="a grain list (Grains.csv) is needed"))


class _Grains:
    """A grain list as rotations, positions and lattices."""

    def __init__(self, source: Source, cell: Sequence[float]):
        file = source if isinstance(source, Path) else source.name if isinstance(source, GrainList) else None
        if isinstance(source, Path):
            source = read_grains(source) if _is_ours(source) else read_grain_list(source, cell=cell)
        if isinstance(source, Table):
            self.ids, self.confidence = source.integers("GrainID"), source["Confidence"]
            cells, orientations = source.numbers(CELL), source.numbers(ORIENTATION).reshape(-1, 3, 3)
            self.positions = source.numbers(POSITION)
            tensors = source if source.numbers((*FABLE, *KENESEI)).any() else None
            self.tensors = {n: None if tensors is None else tensors.numbers(n) for n in (FABLE, KENESEI)}
        else:
            self.ids, self.confidence, self.positions = source.ids, source.completeness, source.positions.copy()
            orientations = source.orientations
            known = np.isfinite(source.cells).all(axis=1, keepdims=True)
            cells = np.where(known, source.cells, np.array(cell, np.float64))
            strains = source.strains.reshape(-1, 9)
            self.tensors = {FABLE: None, KENESEI: strains if np.isfinite(strains).all() and len(strains) else None}
        for grain, one in zip(self.ids, cells, strict=True):
            if reason := crystal.why_impossible(one):
                raise FormatError(f"cell of grain {grain:g}: {reason}", file=file)
        self.rotations = nearest_rotations(orientations)
        self.axes = direct_axes(cells)

    def __len__(self) -> int:
        return len(self.ids)

    def turn(self, degrees: float) -> None:
        """Rotate the sample about z."""
        c, s = cos(np.radians(degrees)), sin(np.radians(degrees))
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
        values = self.tensors[tuple(tensor)]
        return None if values is None else 1e-6 * values.reshape(-1, 3, 3)[rows] - expected


def _partners(
    truth: _Grains,
    found: _Grains,
    operators: NDArray[np.float64],
    reference: NDArray[np.float64],
    one_to_one: bool,
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows of true grains and of the found ones that are nearest to them in misorientation and position together."""
    one, two = (
        Snapshot(quaternions_from_matrices(g.rotations), g.positions, np.full(len(g), np.nan)) for g in (truth, found)
    )
    # Matrices may be turned against lattices by the strain, a small fraction of a degree.
    rough = Finder(two, operators, 1.5 * _FARTHEST).candidates(one)
    rotation, _ = _lattice_differences(truth, found, rough.first, rough.second, operators, reference)
    angle = np.linalg.norm(rotation, axis=1)
    near = angle <= _FARTHEST
    rows, candidates = rough.first[near], rough.second[near]
    cost = angle[near] / _ANGLE_UNIT + np.linalg.norm(rough.displacements[near], axis=1) / _DISTANCE_UNIT
    if one_to_one:
        chosen = assign(rows, candidates, cost, (len(truth), len(found)))
    else:
        order = np.lexsort((candidates, cost, rows))
        chosen = order[np.unique(rows[order], return_index=True)[1]]
    return rows[chosen], candidates[chosen]


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
