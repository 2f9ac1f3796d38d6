"""The tracks of a series as arrays: what ``ff-track`` writes and what figures draw (docs/tracking.md)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas.experiment.orientation import matrices_from_quaternions, quaternion_product, reduced
from midas.formats import tracks as table_form
from midas.formats.stress import read_stress
from midas.formats.table import Table
from midas.formats.uncertainty import read_sigma
from midas.results.grain_list import GrainList
from midas.results.matching.candidates import Snapshot
from midas.results.matching.lattice import rotation_vectors
from midas.results.matching.tracking import AMBIGUOUS, LOST, Series
from midas.runtime.errors import FormatError

Floats = NDArray[np.float64]
#: the other ones conjugate a quaternion
_CONJUGATE = np.array([1.0, -1.0, -1.0, -1.0])


@dataclass(frozen=True)
class Extra:
    """What lies beside the grain list of a step: NaN where there is nothing.

    Parameters
    ----------
    sigma : (n, 12) of the position (µm), the rotation (degrees) and the strain (1e-6), the columns of
        `midas.formats.tracks.SIGMA`
    stress : (n, 3, 3) sample frame, MPa
    """

    sigma: Floats
    stress: Floats


@dataclass(frozen=True)
class Tracks:
    """Grains through steps: t tracks, s steps; NaN, or -1 of whole numbers, where a grain is not seen.

    Parameters
    ----------
    names : of the steps
    series : rows, states and links
    grain_ids : (t, s) in the lists
    positions : (t, s, 3) µm
    orientations : (t, s, 3, 3) rotation from the unstrained crystal to the sample, in one setting for the whole track
    displacements : (t, s, 3) since the grain was seen first, µm
    rotations : (t, s, 3) rotation vector since then, sample frame, degrees
    radii, completeness : (t, s)
    strains, stresses : (t, s, 3, 3) sample frame, 1e-6 and MPa
    sigmas : (t, s, 12) see `Extra`
    """

    names: tuple[str, ...]
    series: Series
    grain_ids: NDArray[np.int64]
    positions: Floats
    orientations: Floats
    displacements: Floats
    rotations: Floats
    radii: Floats
    completeness: Floats
    strains: Floats
    stresses: Floats
    sigmas: Floats

    def __len__(self) -> int:
        return len(self.grain_ids)

    @property
    def deformations(self) -> Floats:
        """(s, 3, 3) macroscopic deformation gradient from the first step to each, of the motions of all grains."""
        total = [np.eye(3)]
        for motion in self.series.motions:
            total.append((np.eye(3) + motion.gradient) @ total[-1])
        return np.array(total)

    def table(self) -> Table:
        """The rows of ``Tracks.csv``, by track and step; of a grain that is lost the place where it should be."""
        states = self.series.states
        shown = (self.grain_ids >= 0) | np.isin(states, (LOST, AMBIGUOUS))
        track, step = np.nonzero(shown)
        gone = (self.grain_ids < 0)[..., None]
        positions = np.where(gone, self.series.expected_positions, self.positions)
        blocks = [
            positions[shown], self.displacements[shown], self.rotations[shown], self.orientations[shown].reshape(-1, 9),
            self.radii[shown][:, None], self.completeness[shown][:, None], _six(self.strains[shown]),
            _six(self.stresses[shown]), self.sigmas[shown], self.series.squares[shown][:, None],
            self.series.margin[shown][:, None],
        ]  # fmt: skip
        whole = np.column_stack([track + 1, step + 1, self.grain_ids[shown], states[shown]]).astype(np.float64)
        return Table(table_form.NAMES, np.ascontiguousarray(np.hstack([whole, *blocks]).T))


def _six(tensors: Floats) -> Floats:
    return np.stack([tensors[:, i, j] for i, j in table_form.INDICES], axis=1)


def tracks_of(
    series: Series,
    lists: Sequence[GrainList],
    snapshots: Sequence[Snapshot],
    extras: Sequence[Extra],
    operators: Floats,
    names: Sequence[str],
) -> Tracks:
    """The arrays of a series.

    Parameters
    ----------
    series : what `midas.results.matching.tracking.track` found
    lists, snapshots, extras : of every step
    operators : (s, 4) symmetry
    names : of the steps
    """
    positions = _gathered(series, [one.positions for one in snapshots])
    quaternions = _in_one_setting(series, snapshots, operators)
    first = series.rows >= 0
    start = first.argmax(axis=1)
    tracks = np.arange(len(first))
    at_start = quaternions[tracks, start]
    turned = quaternion_product(quaternions, (at_start * _CONJUGATE)[:, None])
    rotations = rotation_vectors(turned.reshape(-1, 4)).reshape(*first.shape, 3)
    return Tracks(
        names=tuple(names),
        series=series,
        grain_ids=_gathered(series, [one.ids for one in lists], -1),
        positions=positions,
        orientations=matrices_from_quaternions(quaternions),
        displacements=positions - positions[tracks, start][:, None],
        rotations=rotations,
        radii=_gathered(series, [one.radii for one in lists]),
        completeness=_gathered(series, [one.completeness for one in lists]),
        strains=_gathered(series, [one.strains for one in lists]),
        stresses=_gathered(series, [one.stress for one in extras]),
        sigmas=_gathered(series, [one.sigma for one in extras]),
    )


def _gathered(series: Series, values: Sequence[NDArray], missing: float = np.nan) -> NDArray:  # type: ignore[type-arg]
    """(t, s, ...) what each step says of the grain of each track."""
    out = np.full((*series.rows.shape, *values[0].shape[1:]), missing, values[0].dtype)
    for step, column in enumerate(values):
        seen = series.rows[:, step] >= 0
        out[seen, step] = column[series.rows[seen, step]]
    return out


def _in_one_setting(series: Series, snapshots: Sequence[Snapshot], operators: Floats) -> Floats:
    """(t, s, 4) quaternions, each in the setting that is nearest to that of the step in which the grain was before."""
    out = _gathered(series, [one.quaternions for one in snapshots])
    last = np.full((len(out), 4), np.nan)
    for step in range(series.steps):
        seen = series.rows[:, step] >= 0
        known = seen & np.isfinite(last[:, 0])
        since = quaternion_product(last[known] * _CONJUGATE, out[known, step])
        out[known, step] = quaternion_product(last[known], reduced(since, operators))
        last[seen] = out[seen, step]
    return out


def read_extra(path: Path, grains: GrainList) -> Extra:
    """What is beside a ``Grains.csv``: uncertainties (``GrainsSigma.csv``) and stresses (``Stress.csv``) of its grains.

    Raises
    ------
    FormatError : they are those of other grains
    """
    count = len(grains)
    sigma, stress = np.full((count, len(table_form.SIGMA)), np.nan), np.full((count, 3, 3), np.nan)
    folder = path if path.is_dir() else path.parent
    if path.name != "Grains.csv" and not (folder == path and (folder / "Grains.csv").exists()):
        return Extra(sigma, stress)
    if (file := folder / "GrainsSigma.csv").exists():
        sigma = _of_these(read_sigma(file), grains, file, "ff-grains").numbers(table_form.SIGMA)
    if (file := folder / "Stress.csv").exists():
        six = _of_these(read_stress(file).table, grains, file, "ff-stress").numbers(table_form.STRESS)
        for k, (i, j) in enumerate(table_form.INDICES):
            stress[:, i, j] = stress[:, j, i] = six[:, k]
    return Extra(sigma, stress)


def _of_these(table: Table, grains: GrainList, file: Path, program: str) -> Table:
    """The rows of a table in the order of the grains."""
    ids = table.integers("GrainID")
    order = np.argsort(ids, kind="stable")
    if not np.array_equal(ids[order], grains.ids):
        raise FormatError(f"has other grains than Grains.csv; run {program} again, or remove it", file=file)
    return table.take(order)
