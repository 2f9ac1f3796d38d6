"""Grain tables: ``Grains.csv``, ``SpotMatrix.csv``, ``GrainIDsKey.csv`` (spec chapter 07 §5.1-5.3)."""

from __future__ import annotations

import logging
import os

from midas._ext.text import parse_table
from midas.errors import FormatError
from midas.files import read_bytes
from midas.formats.table import Layout, Table, fixed, integer

log = logging.getLogger(__name__)

_MATRIX = " ".join(f"{{0}}{i}{j}" for i in (1, 2, 3) for j in (1, 2, 3))
_NAMES = (
    f"{_MATRIX.format('O')} X Y Z a b c alpha beta gamma DiffPos DiffOme DiffAngle GrainRadius Confidence "
    f"{_MATRIX.format('eFab')} {_MATRIX.format('eKen')} RMSErrorStrain PhaseNr Eul0 Eul1 Eul2"
)

#: names as in the file; nine header lines, of which the first eight hold values
GRAINS = Layout(
    header="\n" * 8 + "%GrainID\t" + "\t".join(_NAMES.split()),
    columns=(integer("GrainID"), *fixed(_NAMES)),
    separator="\t",
    trailing=True,
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

#: the leading columns of ``Grains.csv`` that name a grain, its orientation, position, cell and size
SEED_GRAINS = GRAINS.names[: GRAINS.names.index("GrainRadius") + 1]


def read_seed_grains(path: str | os.PathLike[str]) -> Table:
    """Grains to start from: columns `SEED_GRAINS` of a ``Grains.csv`` (spec chapter 05 §3.5).

    A header that promises another number of grains than there are lines is worth a warning; the smaller number counts.
    """
    content = read_bytes(path)
    first = content.split(b"\n", 1)[0].split()
    if len(first) < 2 or not first[1].isdigit():
        raise FormatError("must begin with '%NumGrains <number>'", file=path, line=1)
    columns, bad_line = parse_table(content, len(SEED_GRAINS), GRAINS.header_lines)
    if bad_line:
        raise FormatError(f"must hold {len(SEED_GRAINS)} numbers", file=path, line=bad_line)
    promised, present = int(first[1]), columns.shape[1]
    if promised != present:
        log.warning("%s: %d grains in the header, %d lines; the first %d count", path, promised, present,
                    min(promised, present))  # fmt: skip
    return Table(SEED_GRAINS, columns[:, :promised])
