"""Grain tables: ``Grains.csv``, ``SpotMatrix.csv``, ``GrainIDsKey.csv`` (docs/theory/grains.md#grain-list)."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.formats.cells import fault_of, why_impossible, why_no_group
from midas.formats.table import LARGEST, Layout, Table, fixed, integer, line_of_row, refuse_nul, whole
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes

log = logging.getLogger(__name__)


def _matrix(name: str) -> tuple[str, ...]:
    return tuple(f"{name}{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3))


#: columns that belong together: matrices row by row
ORIENTATION, FABLE, KENESEI = _matrix("O"), _matrix("eFab"), _matrix("eKen")
POSITION = ("X", "Y", "Z")
CELL = ("a", "b", "c", "alpha", "beta", "gamma")
EULER_ANGLES = ("Eul0", "Eul1", "Eul2")

_NAMES = (
    *(*ORIENTATION, *POSITION, *CELL, "DiffPos", "DiffOme", "DiffAngle", "GrainRadius", "Confidence"),
    *(*FABLE, *KENESEI, "RMSErrorStrain", "PhaseNr", *EULER_ANGLES),
)

#: names as in the file; nine header lines, of which the first eight hold values. A list of grains to simulate or to
#: look for may end after the cell.
GRAINS = Layout(
    header="\n" * 8 + "%GrainID\t" + "\t".join(_NAMES),
    columns=(integer("GrainID"), *fixed(" ".join(_NAMES))),
    separator="\t",
    trailing=True,
    required=19,
    written_by="ff-grains",
)

SPOT_MATRIX = Layout(
    header="%GrainID\tSpotID\tOmega\tDetectorHor\tDetectorVert\tOmeRaw\tEta\tRingNr\tYLab\tZLab\tTheta\tStrainError",
    columns=(
        *map(integer, ["GrainID", "SpotID"]),
        *fixed("Omega DetectorHor DetectorVert OmeRaw Eta"),
        integer("RingNr"),
        *fixed("YLab ZLab Theta StrainError"),
    ),
    separator="\t",
    trailing=True,
    written_by="ff-grains",
)


@dataclass(frozen=True)
class GrainsHeader:
    """The values in the header of ``Grains.csv``."""

    count: int
    beam_center: float
    beam_thickness: float
    global_position: float
    phases: int
    space_group: int
    lattice_parameter: tuple[float, ...]

    def text(self) -> str:
        """The nine header lines, without the last line feed."""
        return (
            f"%NumGrains {self.count}\n%BeamCenter {self.beam_center:f}\n%BeamThickness {self.beam_thickness:f}\n"
            f"%GlobalPosition {self.global_position:f}\n%NumPhases {self.phases}\n%PhaseInfo\n"
            f"%\tSpaceGroup:{self.space_group}\n"
            f"%\tLattice Parameter: {' '.join(f'{x:f}' for x in self.lattice_parameter)}\n"
            f"{GRAINS.header.lstrip()}"
        )


def read_grains(path: str | os.PathLike[str], *, through: str = "gamma", strict: bool = True) -> Table:
    """A grain list: all 47 columns, of which those after `through` may be absent (they read as 0).

    Raises
    ------
    FormatError
        when the first line does not announce the number of grains, or more of them than follow, which is a file that is
        cut off; if `strict`, also when more follow. Else that is worth a warning, and those that are announced count
        (docs/theory/indexing.md#given-grains). When a grain has an orientation that is no rotation, or a cell that
        cannot be.
    """
    content = read_bytes(path, advice="a grain list (Grains.csv) is needed")
    refuse_nul(content, path)
    words = content.split(b"\n", 1)[0].split()
    announced = whole(words[1]) if len(words) > 1 and words[0] == b"%NumGrains" else None
    if announced is None:
        raise FormatError("must be '%NumGrains <number>', the start of a grain list", file=path, line=1)
    layout = replace(GRAINS, required=GRAINS.names.index(through) + 1)
    table = layout.parse(content, path)
    if len(table) != announced:
        reason = f"announces {announced} grains, but {len(table)} follow"
        if len(table) < announced:
            raise FormatError(f"{reason}; it is cut off, or correct the first line", file=path, line=1)
        if strict:
            raise FormatError(f"{reason}; correct the first line", file=path, line=1)
        log.warning("%s: %s; the smaller number counts", path, reason)
    table = table.take(slice(0, announced))
    if fault := fault_of(table.numbers(ORIENTATION), table.numbers(CELL)):
        line = line_of_row(content, GRAINS.header_lines, fault.row)
        raise FormatError(fault.reason, file=path, line=line, key=fault.key, value=fault.value)
    return table


def read_crystal(path: str | os.PathLike[str]) -> tuple[int, tuple[float, ...]]:
    """Space group and reference cell from the header of a grain list.

    Raises
    ------
    FormatError : the header does not tell them, or tells what cannot be
    """
    space_group, cell = told_crystal(read_bytes(path, advice="a grain list (Grains.csv) is needed"), path)
    if space_group is None or cell is None:
        raise FormatError("has no SpaceGroup and Lattice Parameter in its header", file=path)
    return space_group, cell


def told_crystal(content: bytes, path: str | os.PathLike[str]) -> tuple[int | None, tuple[float, ...] | None]:
    """Space group and reference cell in the header of a grain list, None where it does not tell them.

    Raises
    ------
    FormatError : naming the line whose space group or cell cannot be
    """
    refuse_nul(content, path)
    space_group: int | None = None
    cell: tuple[float, ...] | None = None
    header = content.split(b"\n", GRAINS.header_lines)[: GRAINS.header_lines]
    for number, line in enumerate(header, 1):
        name, _, value = line.decode("latin-1").lstrip("%\t ").partition(":")
        words = value.split()
        if name == "SpaceGroup":
            space_group = whole(words[0]) if words else None
            if reason := why_no_group(space_group):
                raise FormatError(reason, file=path, line=number, key=name, value=value.strip() or None)
        elif name == "Lattice Parameter":
            cell = _floats(words[:6])
            if reason := "must be six positive numbers" if len(cell) != 6 else why_impossible(cell):
                raise FormatError(reason, file=path, line=number, key=name, value=value.strip() or None)
    return space_group, cell


def _floats(words: list[str]) -> tuple[float, ...]:
    """The numbers; none if one of the words is no number."""
    try:
        return tuple(map(float, words))
    except ValueError:
        return ()


@dataclass(frozen=True)
class GrainIdsKey:
    """Which seeds were found to be one grain, the representative first.

    Parameters
    ----------
    starts : (g + 1,) int64; group k is ``starts[k] : starts[k + 1]`` of the other two
    ids : seed spot ids
    rows : their rows (0-based lines of ``SpotsToIndex.csv``)
    """

    starts: NDArray[np.int64]
    ids: NDArray[np.int64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def format(self) -> bytes:
        """Content of ``GrainIDsKey.csv``: one line a group, a blank after every number."""
        pairs = [f"{i} {r} " for i, r in zip(self.ids.tolist(), self.rows.tolist(), strict=True)]
        starts = self.starts.tolist()
        return "".join("".join(pairs[a:b]) + "\n" for a, b in zip(starts[:-1], starts[1:], strict=True)).encode()

    def padded(self) -> NDArray[np.int64]:
        """The lines as a matrix, the short ones filled up with -1."""
        lengths = 2 * np.diff(self.starts)
        out = np.full((len(self), int(lengths.max(initial=0))), -1, np.int64)
        filled = np.arange(out.shape[1]) < lengths[:, None]
        out[filled] = np.stack([self.ids, self.rows], axis=1).ravel()
        return out


def read_grain_ids_key(path: str | os.PathLike[str]) -> GrainIdsKey:
    """Read ``GrainIDsKey.csv``."""
    starts, pairs = [0], []
    content = read_bytes(path, advice="run ff-grains first")
    refuse_nul(content, path)
    for number, line in enumerate(content.splitlines(), 1):
        try:
            numbers = [int(word) for word in line.split()]
        except ValueError:
            numbers = []
        if not numbers or len(numbers) % 2 or max(numbers) > LARGEST or min(numbers) < -LARGEST:
            raise FormatError("must hold pairs of whole numbers, id and row", file=path, line=number)
        pairs += numbers
        starts.append(len(pairs) // 2)
    flat = np.array(pairs, np.int64).reshape(-1, 2)
    return GrainIdsKey(np.array(starts, np.int64), flat[:, 0].copy(), flat[:, 1].copy())
