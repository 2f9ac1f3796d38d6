"""Files of the simulator: lists of grains, ring intensities, the truth tables.

See docs/theory/simulation.md#truth-tables.
"""

from __future__ import annotations

import logging
import os
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas.formats.binary import FLOAT64, read_records
from midas.formats.cells import fault_of
from midas.formats.grains import GRAINS
from midas.formats.table import LARGEST, Layout, Table, fixed, integer, refuse_nul, whole
from midas.runtime.errors import FormatError
from midas.runtime.files import read_bytes

log = logging.getLogger(__name__)

SPOT_MATRIX_GEN = Layout(
    header="%GrainID\tSpotID\tOmega\tDetectorHor\tDetectorVert\tOmeRaw\tEta\tRingNr\tYLab\tZLab\tTheta\tStrainError\t"
    "ScanNr\tRingRad\tomeBin",
    columns=(
        *map(integer, ["GrainID", "SpotID"]),
        *fixed("Omega DetectorHor DetectorVert OmeRaw Eta"),
        integer("RingNr"),
        *fixed("YLab ZLab Theta StrainError"),
        integer("ScanNr"),
        *fixed("RingRad"),
        integer("omeBin"),
    ),
    separator="\t",
    written_by="ff-simulate",
)

SPOTS_MERGED = Layout(
    header="%GrainID\tSpotID\tRingNr\tOmega\tDetectorHor\tDetectorVert\tEta\tFrame\tFirstFrame\tLastFrame\tCounts",
    columns=(
        *map(integer, ["GrainID", "SpotID", "RingNr"]),
        *fixed("Omega DetectorHor DetectorVert Eta Frame"),
        *map(integer, ["FirstFrame", "LastFrame"]),
        *fixed("Counts"),
    ),
    separator="\t",
    written_by="ff-simulate",
)

#: the leading columns of Grains.csv: identity, orientation, position, cell
GRAIN_LIST = Layout(header=GRAINS.header, columns=GRAINS.columns[:19], separator="\t", trailing=True)
_WITH_RADIUS = Layout(header=GRAINS.header, columns=GRAINS.columns[:23])

HEADERS = ("%NumGrains ", "# SpotID", "#EBSD", "%TriEdgeSize ", "# vtk DataFile ")


@dataclass(frozen=True)
class GrainList:
    """Grains as a file gives them.

    Parameters
    ----------
    matrices : (n, 3, 3), crystal to sample, as rounded as the file has them
    positions : (n, 3), µm
    cells : (n, 6), Å and degrees; None when the reference cell holds
    strains : (n, 6), 11 12 13 22 23 33 in the crystal frame, of the reference cell; None without
    radii : (n,), µm; None when the file has none
    header : the header lines of a Grains.csv, "" for every other kind of file
    """

    matrices: NDArray[np.float64]
    positions: NDArray[np.float64]
    cells: NDArray[np.float64] | None = None
    strains: NDArray[np.float64] | None = None
    radii: NDArray[np.float64] | None = None
    header: str = ""

    def __len__(self) -> int:
        return len(self.positions)

    def table(self) -> Table:
        """The content of GrainsGen.csv: the grains, numbered from 1."""
        assert self.cells is not None
        numbers = np.arange(1.0, len(self) + 1)
        columns = np.vstack([numbers, self.matrices.reshape(-1, 9).T, self.positions.T, self.cells.T])
        return Table(GRAIN_LIST.names, columns)


#: makes (n, 3, 3) matrices, crystal to sample, of (n, 3) Bunge angles in radians
Rotations = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def read_grain_list(
    path: str | os.PathLike[str],
    rotations: Rotations,
    *,
    binary: bool = False,
    min_confidence: float = 0.0,
    radii: bool = False,
) -> GrainList:
    """Read a grain list; its first line says which kind it is.

    Parameters
    ----------
    rotations : makes matrices of the lists that give Bunge angles (radians)
    binary : records of 18 float64 instead of text
    min_confidence : points of a mic file up to this confidence are left out
    radii : also read the column GrainRadius of a Grains.csv

    Raises
    ------
    FormatError
        when the file is missing, of an unknown kind, incomplete or without grains
    """
    if binary:
        grains = _binary(path)
    else:
        content = read_bytes(path)
        refuse_nul(content, path)
        if content.startswith(b"%NumGrains "):
            grains = _grains_csv(content, path, radii)
        elif content.startswith(b"# SpotID"):
            grains = _spot_id_csv(content, path)
        elif content.startswith(b"#EBSD"):
            grains = _ebsd(content, path, rotations)
        elif content.startswith(b"%TriEdgeSize "):
            grains = _mic(content, path, min_confidence, rotations)
        elif content.startswith(b"# vtk DataFile "):
            raise FormatError("VTK meshes are not supported yet; use a Grains.csv or the binary form", file=path)
        else:
            expected = ", ".join(repr(header.strip()) for header in HEADERS)
            raise FormatError(f"is no grain list: its first line must start with one of {expected}", file=path)
    if radii and grains.radii is None:
        raise FormatError("has no grain radii; IntensityByVolume needs a Grains.csv with its column 23", file=path)
    if not len(grains):
        raise FormatError("holds no grains", file=path)
    if not all(np.isfinite(a).all() for a in (grains.matrices, grains.positions)):
        raise FormatError("holds numbers that are not finite", file=path)
    if fault := fault_of(grains.matrices, grains.cells):
        reason = f"grain {fault.row + 1} of the list: {fault.reason}"
        raise FormatError(reason, file=path, key=fault.key, value=fault.value)
    return grains


def write_grain_list(path: str | os.PathLike[str], grains: GrainList) -> None:
    """Write the leading columns of a Grains.csv, numbered from 1."""
    GRAIN_LIST.write(path, grains.table(), header=grains.header)


def grain_list_header(count: int, space_group: int, cell: NDArray[np.float64], beam_thickness: float = 0.0) -> str:
    """Header lines of a Grains.csv with known truth."""
    values = " ".join(f"{x:.6f}" for x in cell)
    return "\n".join(
        [
            f"%NumGrains {count}",
            "%BeamCenter 0.000000",
            f"%BeamThickness {beam_thickness:.6f}",
            "%GlobalPosition 0.000000",
            "%NumPhases 1",
            "%PhaseInfo",
            f"%\tSpaceGroup:{space_group}",
            f"%\tLattice Parameter: {values}",
            "%" + "\t".join(GRAIN_LIST.names),
        ]
    )


def read_ring_intensities(path: str | os.PathLike[str]) -> dict[int, float]:
    """Intensity of each ring of an `IntensitiesFile`, relative to the brightest."""
    sums: dict[int, float] = defaultdict(float)
    content = read_bytes(path)
    refuse_nul(content, path)
    for numbers in _rows_with(6, content.decode("latin-1").splitlines(), path, skip=1):
        sums[int(numbers[5])] += numbers[3]
    largest = max(sums.values(), default=0.0)
    if not largest > 0:
        raise FormatError("holds no line 'h k l intensity d ring' with a positive intensity", file=path)
    return {ring: value / largest for ring, value in sums.items()}


def _grains_csv(content: bytes, path: str | os.PathLike[str], radii: bool) -> GrainList:
    table = (_WITH_RADIUS if radii else GRAIN_LIST).parse(content, path)
    lines = content.decode("latin-1").splitlines()
    announced = lines[0].split()[1:2]
    if announced and (whole(announced[0]) or 0) > len(table):
        reason = f"announces {announced[0]} grains, but {len(table)} follow; it is cut off, or correct the first line"
        raise FormatError(reason, file=path, line=1)
    if announced != [str(len(table))]:
        log.warning("%s: %%NumGrains is %s, but there are %d grains", path, " ".join(announced), len(table))
    columns = table.columns
    return GrainList(
        columns[1:10].T.reshape(-1, 3, 3),
        columns[10:13].T.copy(),
        columns[13:19].T.copy(),
        radii=columns[22] if radii else None,
        header="\n".join(lines[: GRAIN_LIST.header_lines]),
    )


def _spot_id_csv(content: bytes, path: str | os.PathLike[str]) -> GrainList:
    layout = Layout(header="# SpotID", columns=fixed(" ".join(f"c{i}" for i in range(21))))
    columns = layout.parse(content.replace(b",", b" "), path).columns
    return GrainList(columns[1:10].T.reshape(-1, 3, 3), columns[11:14].T.copy(), columns[15:21].T.copy())


def _ebsd(content: bytes, path: str | os.PathLike[str], rotations: Rotations) -> GrainList:
    lines = content.replace(b",", b" ").decode("latin-1").splitlines()
    rows = np.array(_rows_with(6, lines, path, skip=2)).reshape(-1, 6)
    return GrainList(rotations(np.radians(rows[:, 3:6])), rows[:, :3].copy())


def _mic(content: bytes, path: str | os.PathLike[str], min_confidence: float, rotations: Rotations) -> GrainList:
    lines = content.decode("latin-1").splitlines()
    try:
        z = float(lines[2].split()[1])
    except (IndexError, ValueError):
        raise FormatError("must give the height of the layer as its second word", file=path, line=3) from None
    rows = np.array(_rows_with(11, lines, path, skip=4)).reshape(-1, 11)
    rows = rows[rows[:, 10] > min_confidence]
    positions = np.column_stack([rows[:, 3], rows[:, 4], np.full(len(rows), z)])
    return GrainList(rotations(rows[:, 7:10]), positions)


def _binary(path: str | os.PathLike[str]) -> GrainList:
    records = read_records(path, FLOAT64, (18,))
    return GrainList(records[:, 3:12].reshape(-1, 3, 3), records[:, :3].copy(), strains=records[:, 12:18].copy())


def _rows_with(count: int, lines: list[str], path: str | os.PathLike[str], *, skip: int) -> list[list[float]]:
    """The first `count` numbers of each line that has as many, behind `skip` lines of header.

    See docs/theory/simulation.md#grain-lists.
    """
    rows, left_out = [], []
    for number, line in enumerate(lines[skip:], skip + 1):
        words = line.split()
        if not words:
            continue
        try:
            numbers = [float(word) for word in words[:count]]
        except ValueError:
            numbers = []
        if len(numbers) < count or not all(abs(x) < LARGEST for x in numbers):
            left_out.append(number)
        else:
            rows.append(numbers)
    if left_out:
        log.warning(
            "%s: %d lines without %d finite numbers are left out (first: line %d)",
            *(path, len(left_out), count, left_out[0]),
        )
    return rows
