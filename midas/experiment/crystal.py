"""The crystal: unit cell, reciprocal basis, and the list of its reflections (docs/theory/hkls.md)."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import gemmi
import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._ext.hkls import enumerate_reflections, reciprocal_basis, reflection_table, smallest_spacing
from midas._ext.numerics.elementwise import arccos, arctan, cos
from midas.experiment.setting import Setting, setting_of
from midas.formats.cells import why_impossible
from midas.formats.hkls import LAYOUT
from midas.formats.table import Table

if TYPE_CHECKING:
    from midas.parameters import Parameters

__all__ = [
    "all_reflections",
    "asymmetry",
    "cell_of",
    "checked_cell",
    "chosen_setting",
    "metric_of",
    "possible_cell",
    "reciprocal_basis",
    "reflections",
    "space_group",
    "why_impossible",
    "within_detector",
]

log = logging.getLogger(__name__)

#: Largest index of the legacy list.
LEGACY_LIMIT = 10
#: A list longer than this is a mistake in the parameters and would not fit into memory.
_MOST_REFLECTIONS = 2e6
#: of a reflection; the search for families takes a byte for each triple of indices
_LARGEST_INDEX = 150
#: Two spacings (Å) further apart than this are different rings.
RING_TOLERANCE = 1e-4

#: Groups of the Laue classes -3 and -31m: the legacy list lacks their families without a member h, k, l >= 0.
_HALF_LISTED = frozenset({143, 144, 145, 146, 147, 148, 149, 151, 153, 157, 159, 162, 163})

_IDENTITY = np.eye(3, dtype=np.int32)

#: The axes that make alpha, beta and gamma.
_FACES = ((1, 2), (0, 2), (0, 1))

#: Signed directions that a symmetry axis can have.
_AXES = np.array(
    [
        *[(0, 0, 1), (1, 0, 0), (0, 1, 0), (1, 1, 0), (1, -1, 0), (0, 1, 1), (0, 1, -1), (1, 0, 1), (-1, 0, 1)],
        *[(2, 1, 0), (1, 2, 0), (1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, 1)],
    ]
)


@dataclass(frozen=True)
class SpaceGroup:
    """Symmetry of a space group in one of its settings.

    Parameters
    ----------
    setting : which group, along which axes
    rotations : (s, 3, 3) int32, one operation per coset of the lattice translations; x' = R x + t
    translations : (s, 3) int32, in units of 1/24
    centrings : (c, 3) int32, lattice translations in units of 1/24
    operations : (m, 3, 3) int32, the rotations that make a family of reflections (h' = h R), in the order of the list
    """

    setting: Setting
    rotations: NDArray[np.int32]
    translations: NDArray[np.int32]
    centrings: NDArray[np.int32]
    operations: NDArray[np.int32]


def space_group(number: int, cell: Sequence[float] | None = None, setting: str = "") -> SpaceGroup:
    """The space group of that number, along the axes that its cell or the name of a setting tells.

    Parameters are those of `midas.experiment.setting.setting_of`, and so is the `ValueError`.
    """
    return operations_of(setting_of(number, cell, setting))


@lru_cache(maxsize=16)
def operations_of(setting: Setting) -> SpaceGroup:
    """The operations of a group in a setting, which are kept."""
    group = setting.group.operations()
    operations = list(group.sym_ops)
    rotations = np.array([op.rot for op in operations], np.int32) // gemmi.Op.DEN
    translations = np.array([op.tran for op in operations], np.int32)
    centrings = np.array(list(group.cen_ops), np.int32)
    return SpaceGroup(
        setting, rotations, translations, centrings, _family_operations(rotations, translations, centrings)
    )


def _family_operations(
    rotations: NDArray[np.int32], translations: NDArray[np.int32], centrings: NDArray[np.int32]
) -> NDArray[np.int32]:
    """The list of operations, sorted by kind and axis, each followed by its powers.

    See docs/theory/hkls.md#order-of-the-operations.
    """
    inversions = translations[(rotations == -_IDENTITY).all(axis=(1, 2))]
    if any((((t + c) % gemmi.Op.DEN) == 0).all() for t in inversions for c in centrings):
        rotations = rotations[np.linalg.det(rotations) > 0]  # the inversion sits at the origin and gives the rest
    listed: list[NDArray[np.int32]] = []
    seen: set[bytes] = set()
    for rotation in sorted(rotations, key=_rank):
        if rotation.tobytes() in seen:
            continue
        for power in _powers(rotation):
            if power.tobytes() not in seen:
                seen.add(power.tobytes())
                listed.append(power)
    return np.array(listed, np.int32)


def _powers(rotation: NDArray[np.int32]) -> list[NDArray[np.int32]]:
    """R, R², ..., 1."""
    powers = [rotation]
    while not np.array_equal(powers[-1], _IDENTITY):
        powers.append(powers[-1] @ rotation)
    return powers


def _rank(rotation: NDArray[np.int32]) -> tuple[int, ...]:
    """Sort key of an operation: kind, axis, sense."""
    handedness = round(float(np.linalg.det(rotation)))
    proper = handedness * rotation
    order = len(_powers(proper))
    axis = _axis(proper, order)
    zeros = int((axis == 0).sum())
    weight = 100 * abs(axis[2]) + 10 * abs(axis[0]) + abs(axis[1])
    kind = (0, 0, 0) if order == 1 and handedness > 0 else (1, 0, 0) if order == 1 else (2, -order, -handedness)
    return (
        *kind,
        -zeros,
        int(abs(axis).max()),
        int(-weight if zeros >= 2 else weight),
        *(int(-component) for component in axis),
        _sense(proper, axis, order),
    )


def _axis(rotation: NDArray[np.int32], order: int) -> NDArray[np.int64]:
    """The direction that a proper rotation leaves alone, with the sign of the list; zero for the identity."""
    if order == 1:
        return np.zeros(3, int)
    axis: NDArray[np.int64] = _AXES[(_AXES @ rotation.T == _AXES).all(axis=1)][0]
    return axis


def _sense(rotation: NDArray[np.int32], axis: NDArray[np.int64], order: int) -> int:
    """0 for a right-handed rotation about the axis (and for a two-fold one), 1 for a left-handed one."""
    if order <= 2:
        return 0
    across = next(v for v in _IDENTITY if np.cross(axis, v).any())
    return 0 if np.linalg.det(np.array([axis, across, rotation @ across])) > 0 else 1


def possible_cell(parameters: Parameters) -> tuple[float, ...]:
    """`LatticeParameter`, if such a cell can exist."""
    cell = tuple(float(x) for x in parameters["LatticeParameter"])
    if reason := why_impossible(cell):
        raise parameters.error("LatticeParameter", reason)
    return cell


def checked_cell(parameters: Parameters, group: SpaceGroup) -> tuple[float, ...]:
    """`LatticeParameter`, if such a cell can exist; a warning when it lacks the symmetry of the group."""
    cell = possible_cell(parameters)
    if asymmetry(cell, group) > 1e-3:
        setting = group.setting
        name = f"{setting.number}" if setting.standard else f"{setting.number}, {setting.symbol}"
        log.warning("LatticeParameter %s lacks the symmetry of space group %s", cell, name)
    return cell


def asymmetry(cell: Sequence[float], group: SpaceGroup) -> float:
    """How far a cell (Å and degrees) is from having the symmetry of a group.

    The largest change of an element of the metric tensor under an operation, as a part of its largest element: about
    twice the relative difference of edges that should be equal, or the difference of an angle in radians.
    """
    metric = metric_of(cell)
    transformed = np.einsum("nki,kl,nlj->nij", group.rotations, metric, group.rotations)
    return float(np.abs(transformed - metric).max() / metric.diagonal().max())


def metric_of(cell: ArrayLike) -> NDArray[np.float64]:
    """(..., 3, 3) scalar products of the axes, Å², of (..., 6) cells, Å and degrees."""
    cell = np.asarray(cell, np.float64)
    cosines = cos(np.radians(cell[..., 3:]))
    metric: NDArray[np.float64] = cell[..., :3, None] * cell[..., None, :3]
    for k, (i, j) in enumerate(_FACES):
        metric[..., i, j] *= cosines[..., k]
        metric[..., j, i] *= cosines[..., k]
    return metric


def cell_of(metric: NDArray[np.float64]) -> NDArray[np.float64]:
    """(..., 6) cells, Å and degrees, of (..., 3, 3) metrics: the inverse of `metric_of`."""
    lengths = np.sqrt(np.diagonal(metric, axis1=-2, axis2=-1))
    cosines = metric / (lengths[..., :, None] * lengths[..., None, :])
    of_faces = np.stack([cosines[..., i, j] for i, j in _FACES], axis=-1)
    return np.concatenate([lengths, np.degrees(arccos(np.clip(of_faces, -1, 1)))], axis=-1)


def reflections(parameters: Parameters) -> Table:
    """Reflections inside `RhoD`, in the layout of ``hkls.csv``.

    Complete unless `LegacyHKLList` is 1; then, as in the legacy list, the group stands in its standard setting whatever
    the cell, indices of a family's first member stop at 10, and the groups of the Laue classes -3 and -31m lack some
    families.
    """
    cell = possible_cell(parameters)
    setting = chosen_setting(parameters, None if parameters["LegacyHKLList"] else cell)
    group = operations_of(setting)
    checked_cell(parameters, group)
    wavelength, lsd, r_max = (parameters[key] for key in ("Wavelength", "Lsd", "RhoD"))
    d_min = smallest_spacing(wavelength, lsd, r_max)
    _check_length(parameters, cell, d_min)

    def legacy(group: SpaceGroup) -> Table:
        return _listed(cell, group, LEGACY_LIMIT, True, (wavelength, lsd, d_min))

    limit = _largest_index(cell, d_min)
    legacy_is_complete = limit == LEGACY_LIMIT and setting.number not in _HALF_LISTED and setting.standard
    if legacy_is_complete or parameters["LegacyHKLList"]:
        table = legacy(group)
    else:
        table = all_reflections(cell, group, wavelength, lsd, r_max)
        _warn_of_moved_rings(table, legacy(space_group(setting.number)))
    if not len(table):
        log.warning("no reflection within RhoD = %g µm of the beam", r_max)
    return table


def all_reflections(cell: tuple[float, ...], group: SpaceGroup, wavelength: float, lsd: float, r_max: float) -> Table:
    """The complete list of a crystal, in the layout of ``hkls.csv``.

    Parameters
    ----------
    cell : Å and degrees
    wavelength : Å
    lsd, r_max : sample to detector, and the radius (µm) there of the last ring
    """
    d_min = smallest_spacing(wavelength, lsd, r_max)
    half = group.setting.number not in _HALF_LISTED
    return _listed(cell, group, _largest_index(cell, d_min), half, (wavelength, lsd, d_min))


def _largest_index(cell: tuple[float, ...], d_min: float) -> int:
    """Of the first members of the families down to a spacing (Å)."""
    return max(LEGACY_LIMIT, math.floor(max(cell[:3]) / d_min) + 1)


def _listed(
    cell: tuple[float, ...], group: SpaceGroup, limit: int, half: bool, angles: tuple[float, float, float]
) -> Table:
    """Reflections whose families have a first member within limits; `angles`: wavelength, lsd, smallest spacing."""
    first_k, first_l = _first_indices(group.setting, limit, half)
    hkl = enumerate_reflections(
        group.operations, group.rotations, group.translations, group.centrings, limit, first_k, first_l
    )
    return Table.from_columns(LAYOUT.names, reflection_table(hkl, cell, *angles))


def chosen_setting(parameters: Parameters, cell: Sequence[float] | None) -> Setting:
    """The setting of `SpaceGroup` that `SpaceGroupSetting` names, or else the cell tells."""
    number, word = int(parameters["SpaceGroup"]), str(parameters["SpaceGroupSetting"])
    try:
        return setting_of(number, cell, word)
    except ValueError as error:
        raise parameters.error("SpaceGroupSetting" if word else "SpaceGroup", str(error)) from None


def _first_indices(setting: Setting, limit: int, half: bool) -> tuple[int, int]:
    """Smallest k and l of the first members of the families, of which h is never negative.

    See docs/theory/hkls.md#limits-of-the-indices.
    """
    low_k = setting.number <= 2 or setting.unique_axis == 2 or setting.rhombohedral_axes
    low_l = (setting.number <= 15 or not half or setting.rhombohedral_axes) and setting.unique_axis != 2
    return -limit if low_k else 0, -limit if low_l else 0


def _check_length(parameters: Parameters, cell: tuple[float, ...], d_min: float) -> None:
    """Raise when the sphere of radius 1 / d_min holds more reflections than any experiment has, or larger indices."""
    volume = 4 / 3 * math.pi * math.sqrt(float(np.linalg.det(metric_of(cell))))
    if volume > _MOST_REFLECTIONS * d_min * d_min * d_min or max(cell[:3]) > _LARGEST_INDEX * d_min:
        reason = f"too many reflections down to {d_min:.3g} Å: check the cell (Å), Lsd and RhoD (µm)"
        raise parameters.error("LatticeParameter", reason)


def _warn_of_moved_rings(complete: Table, legacy: Table) -> None:
    """Name the first ring whose number means another spacing in the legacy list."""
    old = _spacing_of_rings(legacy)
    for ring, (d, d_old) in enumerate(zip(_spacing_of_rings(complete), old, strict=False), 1):
        if abs(d - d_old) > RING_TOLERANCE:
            log.warning(
                "from ring %d on the ring numbers differ from the legacy list: d = %.6f Å here, %.6f Å there "
                "(LegacyHKLList 1 gives the legacy list)",
                *(ring, d, d_old),
            )
            return


def _spacing_of_rings(table: Table) -> NDArray[np.float64]:
    """Spacing of the first row of each ring."""
    _, first = np.unique(table["ring"], return_index=True)
    return table["d_spacing"][first]


def within_detector(hkls: Table, parameters: Parameters) -> Table:
    """The rows of the hkl list up to the first reflection that falls farther out than RhoD.

    See docs/theory/fit_setup.md#rings-in-use.
    """
    limit = math.degrees(arctan(parameters["RhoD"] / parameters["Lsd"])) / 2
    beyond = np.flatnonzero(hkls["theta"] > limit)
    return hkls.take(slice(0, beyond[0] if len(beyond) else None))
