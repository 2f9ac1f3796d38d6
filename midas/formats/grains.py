"""Grain tables: ``Grains.csv``, ``SpotMatrix.csv``, ``GrainIDsKey.csv`` (docs/theory/grains.md#grain-list)."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from midas.formats.table import LARGEST, Layout, Table, fixed, integer, whole
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
        when the first line does not announce the number of grains, or, if `strict`, not the number that follows. Else
        that is worth a warning, and the smaller number counts (docs/theory/indexing.md#given-grains).
    """
    content = read_bytes(path, advice="a grain list (Grains.csv) is needed")
    words = content[: content.find(b"\n") + 1].split()
    announced = whole(words[1]) if len(words) > 1 and words[0] == b"%NumGrains" else None
    if announced is None:
        raise FormatError("must be '%NumGrains <number>', the start of a grain list", file=path, line=1)
    layout = replace(GRAINS, required=GRAINS.names.index(through) + 1)
    table = layout.parse(content, path)
    if len(table) != announced:
        reason = f"announces {announced} grains, but {len(table)} follow"
        if strict:
            raise FormatError(f"{reason}; correct the first line", file=path, line=1)
        log.warning("%s: %s; the smaller number counts", path, reason)
    return table.take(slice(0, announced))


def read_crystal(path: str | os.PathLike[str]) -> tuple[int, tuple[float, ...]]:
    """Space group and reference cell from the header of a grain list."""
    lines = read_bytes(path, advice="a grain list (Grains.csv) is needed").decode("latin-1").splitlines()
    found: dict[str, list[str]] = {}
    for line in lines[: GRAINS.header_lines]:
        name, _, values = line.lstrip("%\t ").partition(":")
        found[name] = values.split()
    try:
        a, b, c, alpha, beta, gamma = (float(word) for word in found["Lattice Parameter"][:6])
        return int(found["SpaceGroup"][0]), (a, b, c, alpha, beta, gamma)
    except (KeyError, IndexError, ValueError):
        raise FormatError("has no SpaceGroup and Lattice Parameter in its header", file=path) from None


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
    for number, line in enumerate(read_bytes(path, advice="run ff-grains first").splitlines(), 1):
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
