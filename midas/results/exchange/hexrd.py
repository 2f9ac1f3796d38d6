"""HEXRD: ``grains.out`` (docs/exports.md#hexrd).

Its laboratory has X to the right looking downstream, Y up along the rotation axis and the beam along -Z; the sample
frame is that of the laboratory at omega 0, and both programs turn the sample to the same side. Lengths are in mm. A
grain is F = V R: R turns the undeformed lattice, with a along x and b in the plane of x and y, into the sample, and V
stretches it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import polar
from scipy.spatial.transform import Rotation

from midas._ext.numerics.elementwise import log
from midas.results.exchange.crystal_frames import (
    cell_vectors,
    frame_change,
    from_frame,
    lattice_vectors,
    orientations_and_cells,
)
from midas.results.exchange.lists import grain_list
from midas.results.exchange.text import comments_of, rows_of, told_crystal
from midas.results.grain_list import GrainList
from midas.runtime.errors import FormatError

Floats = NDArray[np.float64]

#: components in our sample frame to those in HEXRD's
TO_HEXRD: Floats = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [-1.0, 0.0, 0.0]])

_UM_PER_MM = 1000.0
#: the six components of a symmetric tensor in the order of the file, and what HEXRD multiplies those of V⁻¹ with
_ORDER = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
_SCALE: Floats = np.array([1.0, 1.0, 1.0, *3 * [np.sqrt(2.0)]])
COLUMNS = (
    *("grain ID", "completeness", "chi^2"),
    *(f"exp_map_c[{i}]" for i in range(3)),
    *(f"t_vec_c[{i}]" for i in range(3)),
    *(f"inv(V_s)[{i},{j}]" + ("" if i == j else "*sqrt(2)") for i, j in _ORDER),
    *(f"ln(V_s)[{i},{j}]" for i, j in _ORDER),
)
#: no metal that diffracts is stretched further
_LARGEST_STRETCH = 0.5


def is_grains_out(content: bytes) -> bool:
    """Whether this is a ``grains.out``: its header, or lines of its 21 numbers."""
    text = content[:20000].decode("latin-1")
    if "exp_map_c[0]" in text and "inv(V_s)" in text:
        return True
    first = next((line.split() for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), [])
    return len(first) == len(COLUMNS) and all(_is_number(word) for word in first)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def format_grains(grains: GrainList, cell: Sequence[float], header: Sequence[str] = ()) -> bytes:
    """The content of a ``grains.out``; `cell` is the unstrained one, against which V stretches.

    Chi² is 0, since this suite has no such number of a grain; comment lines tell the cell and the space group, without
    which a reader cannot know the crystal frame.
    """
    matrices = _deformations(grains, cell)
    lines = [*header, *told_crystal(grains.space_group, cell)]
    lines.append("# " + "  ".join(COLUMNS))
    turned = grains.positions @ TO_HEXRD.T / _UM_PER_MM
    for grain_id, completeness, f, t in zip(
        grains.ids.tolist(), grains.completeness.tolist(), matrices, turned, strict=True
    ):
        rotation, stretch = polar(f, side="left")
        inverse = np.linalg.inv(stretch)
        values, axes = np.linalg.eigh(stretch)
        logarithm = (axes * log(values)) @ axes.T
        numbers = (
            *Rotation.from_matrix(rotation).as_rotvec(),
            *t,
            *(_components(inverse) * _SCALE),
            *_components(logarithm),
        )
        lines.append(f"{grain_id:d}  {completeness:f}  {0:e}  " + "  ".join(f"{x:.16e}" for x in numbers))
    return "".join(f"{line}\n" for line in lines).encode()


def _deformations(grains: GrainList, cell: Sequence[float]) -> Floats:
    """(n, 3, 3) F: from the undeformed lattice in HEXRD's crystal frame to the lattice in its sample frame."""
    reference = frame_change(cell, "a c*") @ cell_vectors(cell)
    cells = grains.cells.copy()
    cells[~np.isfinite(cells).all(axis=1)] = cell
    f: Floats = TO_HEXRD @ lattice_vectors(grains.orientations, cells) @ np.linalg.inv(reference)
    return f


def _components(tensor: Floats) -> Floats:
    return np.array([tensor[i, j] for i, j in _ORDER])


def _tensors(components: Floats) -> Floats:
    """(n, 3, 3) of (n, 6)."""
    tensors = np.empty((len(components), 3, 3))
    for k, (i, j) in enumerate(_ORDER):
        tensors[:, i, j] = tensors[:, j, i] = components[:, k]
    return tensors


def parse_grains(path: str | os.PathLike[str], content: bytes, cell: Sequence[float] | None = None) -> GrainList:
    """The grains of a ``grains.out``.

    Parameters
    ----------
    cell : unstrained one (Å and degrees); by default that of a comment line, if there is one. Without a cell the
        crystal frame is taken to have a along x, which is a* along x of ours for the orthogonal cells only, and the
        cells of the grains are NaN.
    """
    rows, lines = rows_of(path, content, len(COLUMNS))
    space_group, told = comments_of(content)
    cell = told if cell is None else cell
    stretches = _tensors(rows[:, 9:15] / _SCALE)
    eigenvalues = np.linalg.eigvalsh(stretches)
    sound = np.abs(eigenvalues - 1).max(axis=1) < _LARGEST_STRETCH
    if not sound.all():
        raise FormatError("inv(V_s) is no stretch of a crystal", file=path, line=lines[int(np.argmin(sound))])
    stretches = np.asarray(np.linalg.inv(stretches), np.float64)
    rotations = Rotation.from_rotvec(rows[:, 3:6]).as_matrix().reshape(-1, 3, 3)
    if cell is None:
        orientations, cells = TO_HEXRD.T @ rotations, None
    elif len(rows):
        reference = frame_change(cell, "a c*") @ cell_vectors(cell)
        orientations, cells = orientations_and_cells(TO_HEXRD.T @ stretches @ rotations @ reference)
    else:
        orientations, cells = from_frame(rotations, cell, "a c*"), np.empty((0, 6))
    return grain_list(
        path,
        rows[:, 0],
        orientations,
        rows[:, 6:9] * _UM_PER_MM @ TO_HEXRD,
        cells=cells,
        completeness=rows[:, 1],
        strains=1e6 * (TO_HEXRD.T @ (stretches - np.eye(3)) @ TO_HEXRD),
        space_group=space_group,
        cell=cell,
    )
