"""The spots that every grain was fitted to, each with its reflection (docs/theory/uncertainty.md#spots-of-a-grain)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, sin
from midas._ext.physics.spots import scattering_vectors
from midas.experiment.combined_spots import combined_places, share_of
from midas.experiment.crystal import reciprocal_basis
from midas.experiment.detector import DetectorGeometry
from midas.experiment.spot_flags import read_spot_flags
from midas.formats.grain_spots import spot_ranges
from midas.formats.grains import CELL, ORIENTATION, POSITION
from midas.formats.layer import Layer
from midas.formats.measured import FEWEST_SPOTS
from midas.formats.table import Table
from midas.runtime.errors import FormatError
from midas.runtime.ragged import offsets_of

T = TypeVar("T", bound=np.generic)

Array = NDArray[np.float64]
Integers = NDArray[np.int64]

#: in how many frames a spot is
UNKNOWN, SINGLE, SEVERAL = range(3)


@dataclass(frozen=True)
class GrainTables:
    """The tables of a layer that its sigmas come from.

    Parameters
    ----------
    grains, spot_matrix, extra_info : of the files of these names
    spot_owners, spots_measured : of theirs; None where there is no such file
    frames : (s,) int64, frames of every spot of `extra_info`; None where nothing tells them
    """

    grains: Table
    spot_matrix: Table
    extra_info: Table
    spot_owners: Table | None = None
    spots_measured: Table | None = None
    frames: Integers | None = None


@dataclass(frozen=True)
class FittedSpots:
    """The spots of n grains, grain after grain.

    Parameters
    ----------
    offsets : (n + 1,) int64; grain i has the entries ``offsets[i] : offsets[i + 1]`` of the others
    ids : int64, spot ids; 0 for a spot that has none of its own
    y, z, omega : float64, on the plane as recorded, µm and degrees
    ring : int64
    kind : int64, in how many frames: `UNKNOWN`, `SINGLE`, `SEVERAL`
    certainty : float64, factor on the distances on the detector in the fit
    hkl : (total, 3) float64, Miller indices
    branch : float64, sign of the laboratory y
    """

    offsets: Integers
    ids: Integers
    y: Array
    z: Array
    omega: Array
    ring: Integers
    kind: Integers
    certainty: Array
    hkl: Array
    branch: Array

    def __len__(self) -> int:
        return len(self.y)

    @property
    def grain(self) -> Integers:
        """(total,) the grain of each."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))


@dataclass(frozen=True)
class GrainStates:
    """The grains of a layer: U·B (n, 3, 3), 1/Å, and position (n, 3), µm, both in the sample frame."""

    ub: Array
    position: Array

    @classmethod
    def of(cls, grains: Table) -> GrainStates:
        """The grains of ``Grains.csv``."""
        u = grains.numbers(ORIENTATION).reshape(-1, 3, 3)
        basis = np.array([reciprocal_basis(cell) for cell in grains.numbers(CELL)]).reshape(-1, 3, 3)
        return cls(u @ basis, grains.numbers(POSITION))


def fitted_spots(
    layer: Layer, tables: GrainTables, detector: DetectorGeometry, *, guided: bool, combined: bool
) -> FittedSpots:
    """What the grains were fitted to: measured spots where they were, else the connected peaks that they own.

    Parameters
    ----------
    guided : whether every grain keeps the spots of its seed, whoever owns them (a run with seed grains)
    combined : whether the fragments of a reflection were one spot in the fit (mosaic grains)

    Raises
    ------
    FormatError : where tables do not belong together
    """
    grain, spots = _listed(layer, tables)
    owners = None if guided else tables.spot_owners
    if owners is not None:
        if len(owners) != len(tables.extra_info):
            reason = f"has {len(owners)} spots where {layer.extra_info.name} has {len(tables.extra_info)}"
            raise FormatError(f"{reason}; run ff-grains again", file=layer.spot_owners)
        own = owners.integers("GrainID")[spots - 1] == tables.grains.integers("GrainID")[grain]
        grain, spots = grain[own], spots[own]
    peaks = _peaks(layer, tables, grain, spots)
    if combined and owners is not None:
        reflections = owners.take(spots - 1)
        peaks = replace(peaks, hkl=reflections.numbers(tuple("hkl")), branch=reflections["Branch"])
        peaks = _combined(peaks, tables.extra_info["intensity"][spots - 1])
    else:
        peaks = _indexed(peaks, GrainStates.of(tables.grains), detector)
    return peaks if tables.spots_measured is None else _with_measured(layer, peaks, tables)


def _listed(layer: Layer, tables: GrainTables) -> tuple[Integers, Integers]:
    """Grain and spot id of every line of ``SpotMatrix.csv``."""
    offsets, spots = spot_ranges(layer, tables.grains, tables.spot_matrix), tables.spot_matrix.integers("SpotID")
    if (bad := np.flatnonzero((spots < 1) | (spots > len(tables.extra_info)))).size:
        reason = f"is no spot of {layer.extra_info.name} (1 ... {len(tables.extra_info)}); run ff-grains again"
        line, value = int(bad[0]) + 2, str(spots[bad[0]])
        raise FormatError(reason, file=layer.spot_matrix, line=line, key="SpotID", value=value)
    return np.repeat(np.arange(len(offsets) - 1), np.diff(offsets)), spots


def _peaks(layer: Layer, tables: GrainTables, grain: Integers, spots: Integers) -> FittedSpots:
    """Connected peaks of grains, without their reflections."""
    table, rows, n = tables.extra_info, spots - 1, len(spots)
    return FittedSpots(
        offsets=offsets_of(np.bincount(grain, minlength=len(tables.grains))),
        ids=spots,
        y=table["y_plane"][rows],
        z=table["z_plane"][rows],
        omega=table["omega_recorded"][rows],
        ring=table.integers("ring")[rows],
        kind=np.full(n, UNKNOWN) if tables.frames is None else _kind(tables.frames[rows]),
        certainty=read_spot_flags(layer, len(table)).certainty[rows],
        hkl=np.zeros((n, 3)),
        branch=np.zeros(n),
    )


def _indexed(spots: FittedSpots, states: GrainStates, detector: DetectorGeometry) -> FittedSpots:
    """The spots with the reflection that each is nearest to: the lattice point next to its scattering vector."""
    if not len(spots):
        return spots
    grain = spots.grain
    position = np.ascontiguousarray(states.position[grain])
    y, z, omega = (np.ascontiguousarray(column) for column in (spots.y, spots.z, spots.omega))
    assert detector.wavelength is not None  # `settings_of` sees to it
    g = scattering_vectors(
        y, z, omega, position, detector.lsd, detector.wavelength, detector.wedge, detector.exact_wedge, detector.surface
    )
    hkl = np.rint(np.einsum("nij,nj->ni", np.linalg.inv(states.ub)[grain], g))
    turn = np.radians(omega)
    across = y - position[:, 0] * sin(turn) - position[:, 1] * cos(turn)
    return replace(spots, hkl=hkl, branch=np.where(across >= 0, 1.0, -1.0))


def _combined(spots: FittedSpots, intensity: Array) -> FittedSpots:
    """One spot for all fragments of a reflection of a grain."""
    names = np.column_stack([spots.grain, spots.hkl, spots.branch])
    order = np.lexsort((spots.ids, *names.T[::-1]))
    first = np.flatnonzero(np.diff(names[order], axis=0, prepend=np.nan).any(axis=1))
    offsets = np.append(first, len(order)).astype(np.int64)
    weight = share_of(intensity[order])
    y, z, omega = combined_places(spots.y, spots.z, spots.omega, weight, order, offsets)
    total = np.add.reduceat(weight, first) if len(first) else weight
    certainty = np.add.reduceat(weight * spots.certainty[order], first) / total if len(first) else total
    rows = order[first]
    whole = (np.diff(offsets) == 1) | (spots.kind[rows] == UNKNOWN)
    grains = len(spots.offsets) - 1
    return FittedSpots(
        offsets=offsets_of(np.bincount(spots.grain[rows], minlength=grains)),
        ids=spots.ids[rows],
        y=y,
        z=z,
        omega=omega,
        ring=spots.ring[rows],
        kind=np.where(whole, spots.kind[rows], SEVERAL),
        certainty=certainty,
        hkl=spots.hkl[rows],
        branch=spots.branch[rows],
    )


def _with_measured(layer: Layer, peaks: FittedSpots, tables: GrainTables) -> FittedSpots:
    """The measured spots in place of the peaks of every grain that has enough of them to be refined on them."""
    table, ids = tables.spots_measured, tables.grains.integers("GrainID")
    assert table is not None
    place = {grain: row for row, grain in enumerate(ids.tolist())}
    grain = np.array([place.get(number, -1) for number in table.integers("GrainID").tolist()], np.int64)
    if (strange := np.flatnonzero(grain < 0)).size:
        value = str(int(table["GrainID"][strange[0]]))
        reason = f"is no grain of {layer.grains.name}; run ff-pull again"
        raise FormatError(reason, file=layer.spots_measured, line=int(strange[0]) + 2, key="GrainID", value=value)
    measured = np.bincount(grain, minlength=len(ids)) >= FEWEST_SPOTS
    rows, kept = np.flatnonzero(measured[grain]), np.flatnonzero(~measured[peaks.grain])
    order = np.argsort(np.concatenate([grain[rows], peaks.grain[kept]]), kind="stable")

    def joined(new: NDArray[T], old: NDArray[T]) -> NDArray[T]:
        return np.concatenate([new[rows], old[kept]])[order]

    return FittedSpots(
        offsets=offsets_of(np.bincount(np.concatenate([grain[rows], peaks.grain[kept]]), minlength=len(ids))),
        ids=joined(table.integers("SpotID"), peaks.ids),
        y=joined(table["YLab"], peaks.y),
        z=joined(table["ZLab"], peaks.z),
        omega=joined(table["Omega"], peaks.omega),
        ring=joined(table.integers("RingNr"), peaks.ring),
        kind=joined(_kind(table.integers("nFrames")), peaks.kind),
        certainty=joined(np.ones(len(table)), peaks.certainty),
        hkl=joined(table.numbers(tuple("hkl")), peaks.hkl),
        branch=joined(table["Branch"], peaks.branch),
    )


def _kind(frames: Integers) -> Integers:
    return np.where(frames > 1, SEVERAL, SINGLE)
