"""Grains of one or several layers as one list, where they are in a common frame (docs/theory/matching.md#states)."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas.experiment.orientation import quaternions_from_matrices
from midas.formats.grains import ORIENTATION, POSITION
from midas.formats.matched import GRAIN_SET, QUATERNION, SET_ORIENTATION, SET_POSITION
from midas.formats.table import Layout, Table, concatenate, fixed, integer, refuse_nul
from midas.results.exchange import file_of, read_grain_list
from midas.runtime.errors import FormatError, shown
from midas.runtime.files import read_bytes

log = logging.getLogger(__name__)

#: what matching needs to know of a grain
LOADED = ("GrainID", *ORIENTATION, *POSITION, "GrainRadius")
_NUMBER = re.compile(r"\d+$")
_STITCHED = GRAIN_SET.header.split("\t")[:3]
_OFFSETS = Layout(header="#", columns=(*map(integer, ("layer", "grainID")), *fixed("dx dy dz")))
_POINTS = Layout(header="#", columns=fixed("x y z"))


def load_grains(path: str | Path) -> Table:
    """The grains of one file: identity, orientation, position, radius; the columns are `LOADED`.

    Parameters
    ----------
    path : a grain list of any kind or a layer folder, see `midas.results.exchange.read_grain_list`

    Raises
    ------
    FormatError : there is no such file, or it is none of these.
    """
    grains = read_grain_list(path)
    columns = [grains.ids, *grains.orientations.reshape(-1, 9).T, *grains.positions.T, grains.radii]
    return Table(LOADED, np.array(columns, np.float64).reshape(len(LOADED), -1))


def cell_of(path: str | Path) -> tuple[float, ...] | None:
    """The unstrained cell (Å and degrees) that one of the files of `load_grains` tells; None if it tells none."""
    try:
        return read_grain_list(path).cell
    except FormatError:
        return None


def files_of(paths: Iterable[str | Path]) -> list[Path]:
    """The grain lists that `load_grains` reads for these; those that are not there stay as they are."""
    return [file_of(path) for path in paths]


def aggregate_grains(
    paths: Sequence[str | Path],
    beam_thickness: float = 0.0,
    offset: Sequence[float] = (0.0, 0.0, 0.0),
    offset_table: Mapping[tuple[int, int], Sequence[float]] | None = None,
    affine: ArrayLike | None = None,
) -> Table:
    """The grains of several files as one list, numbered from 1; the columns are those of `GRAIN_SET`.

    Parameters
    ----------
    paths : files or layer folders, see `load_grains`; the first one is layer 0
    beam_thickness : distance of one layer to the next along z, µm
    offset : added to every position, µm
    offset_table : (layer, grain id) -> what is added to that grain's position, µm
    affine : (3, 4), [A | t]: a position x becomes A x + t, after everything else
    """
    _warn_of_order([Path(path) for path in paths])
    parts = [_numbered(load_grains(path), layer, beam_thickness) for layer, path in enumerate(paths)]
    grains = concatenate(parts)
    grains["UniqueID"][:] = np.arange(1, len(grains) + 1)
    positions = grains.numbers(SET_POSITION) + np.asarray(offset, float)
    if offset_table:
        positions += _offsets(grains, offset_table)
    if affine is not None:
        matrix = np.asarray(affine, float).reshape(3, 4)
        positions = positions @ matrix[:, :3].T + matrix[:, 3]
    for name, values in zip(SET_POSITION, positions.T, strict=True):
        grains[name][:] = values
    return grains


def _warn_of_order(paths: Sequence[Path]) -> None:
    """Say so when the numbers in the names of layers fall: a shell puts LayerNr_10 before LayerNr_2."""
    named = [path if path.is_dir() else path.parent for path in paths]
    numbers = [_NUMBER.search(path.name) for path in named]
    for (before, one), (after, two) in pairwise(zip(named, numbers, strict=True)):
        if one and two and one.start() == two.start() and int(two[0]) < int(one[0]):
            reason = "layers count from the lowest up in the order in which they are given"
            log.warning("%s comes after %s; %s", after.name, before.name, reason)
            return


def _offsets(grains: Table, table: Mapping[tuple[int, int], Sequence[float]]) -> NDArray[np.float64]:
    """(n, 3) what the table says of each grain, 0 where it says nothing."""
    keys = list(zip(grains.integers("LayerNr").tolist(), grains.integers("OrigGrainID").tolist(), strict=True))
    if unused := len(table.keys() - keys):
        log.warning("%d of %d offsets belong to no grain", unused, len(table))
    return np.array([table.get(key, (0.0, 0.0, 0.0)) for key in keys], float).reshape(-1, 3)


def _numbered(grains: Table, layer: int, beam_thickness: float) -> Table:
    part = Table.empty(GRAIN_SET.names, len(grains))
    quaternions = quaternions_from_matrices(grains.numbers(ORIENTATION).reshape(-1, 3, 3))
    part["LayerNr"][:] = layer
    for name, values in (
        ("OrigGrainID", grains["GrainID"]),
        *((new, grains[old]) for new, old in zip(SET_ORIENTATION, ORIENTATION, strict=True)),
        *((axis, grains[axis]) for axis in POSITION),
        ("GrainSize", grains["GrainRadius"]),
        *zip(QUATERNION, quaternions.T, strict=True),
    ):
        part[name][:] = values
    part["Z"][:] += layer * beam_thickness
    return part


def read_state_list(path: Path) -> list[Path]:
    """The grain lists of a state of ``MatchGrains``: the file itself, or those that it names, one per line.

    Paths are looked for as they stand, else beside the list; lines that start with ``#`` are left out.
    """
    content = read_bytes(path, advice="a Grains.csv or a list of them is needed")
    refuse_nul(content, path)
    lines = content.decode("latin-1").splitlines()
    if any(line.startswith("%NumGrains") for line in lines):
        return [path]
    named = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if not named:
        raise FormatError("is neither a Grains.csv nor a list of them", file=path)
    paths = [Path(name) if os.path.exists(name) else path.parent / name for name in named]
    for name, found in zip(named, paths, strict=True):
        if not os.path.exists(found):
            raise FormatError(f"names {shown(name)}, which does not exist", file=path)
    return paths


def read_offset_table(path: Path) -> dict[tuple[int, int], tuple[float, ...]]:
    """(layer, grain id) -> offset, from lines ``layer,grainID,dx,dy,dz`` below one header line."""
    table = _parsed(_OFFSETS, path)
    keys = zip(table.integers("layer").tolist(), table.integers("grainID").tolist(), strict=True)
    return dict(zip(keys, map(tuple, table.numbers(("dx", "dy", "dz")).tolist()), strict=True))


def read_points(path: Path) -> NDArray[np.float64]:
    """(n, 3) points, from lines ``x,y,z`` below one header line; further columns do not matter."""
    return _parsed(_POINTS, path).numbers(("x", "y", "z"))


def _parsed(layout: Layout, path: Path) -> Table:
    return layout.parse(read_bytes(path).replace(b",", b" "), path)


def fit_affine_from_points(reference: ArrayLike, deformed: ArrayLike) -> NDArray[np.float64]:
    """The affine map that takes points of the reference to their places after deformation, by least squares.

    Parameters
    ----------
    reference, deformed : (n, 3), the same points in the same order; at least four that lie in no plane

    Returns
    -------
    (3, 4) [A | t]: deformed = A reference + t.

    Raises
    ------
    ValueError : too few points, or all in one plane.
    """
    before, after = np.asarray(reference, float), np.asarray(deformed, float)
    if before.shape != after.shape:
        raise ValueError(f"{len(before)} points before and {len(after)} after the deformation")
    solution, _, rank, _ = np.linalg.lstsq(np.column_stack([before, np.ones(len(before))]), after, rcond=1e-9)
    if rank < 4:
        raise ValueError("needs at least four points that lie in no plane")
    fitted: NDArray[np.float64] = solution.T
    return fitted


def inverse_affine(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3, 4) map that undoes another one."""
    if np.linalg.matrix_rank(affine[:, :3]) < 3:
        raise ValueError("squeezes the points into a plane; it cannot be undone")
    inverse = np.linalg.inv(affine[:, :3])
    return np.column_stack([inverse, -inverse @ affine[:, 3]])
