"""The spot tables of the setup stage and their binary twins (docs/theory/fit_setup.md#spot-tables).

Row r (0-based) of every one of them belongs to spot id r + 1; a rejected spot keeps its row, filled with zeros.
"""

from __future__ import annotations

import logging
import os
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from midas._ext.spot_text import format_spots
from midas.formats.binary import FLOAT64, read_records
from midas.formats.layer import Layer
from midas.formats.table import Layout, Table, fixed, integer, refuse_nul
from midas.parameters import Parameters
from midas.runtime.errors import FormatError
from midas.runtime.files import atomic_outputs, read_bytes

log = logging.getLogger(__name__)

_INPUT = "y_ideal z_ideal omega_ideal grain_radius spot_id ring eta two_theta"
# omega_detector is omega_recorded once more.
_EXTRA = "omega_recorded y_plane z_plane y_recorded z_recorded omega_detector intensity raw_sum"

INPUT_ALL = Layout(
    header="%YLab ZLab Omega GrainRadius SpotID RingNumber Eta Ttheta",
    columns=fixed(_INPUT, 5, 12),
    written_by="ff-setup",
)

EXTRA_INFO = Layout(
    header=(
        "%YLab ZLab Omega GrainRadius SpotID RingNumber Eta Ttheta OmegaIni(NoWedgeCorr) YOrig(NoWedgeCorr) "
        "ZOrig(NoWedgeCorr) YOrig(DetCor) ZOrig(DetCor) OmegaOrig(DetCor) IntegratedIntensity(count) RawSumIntensity"
    ),
    columns=fixed(f"{_INPUT} {_EXTRA}", 5, 12),
    required=14,
    written_by="ff-setup",
)

ID_RINGS = Layout(
    header="RingNumber OriginalID NewID(RingsMerge)",
    columns=tuple(map(integer, ["ring", "radius_id", "spot_id"])),
    written_by="ff-setup",
)

#: spots that are saturated, ascending; the file is absent when there are none
SPOT_FLAGS = Layout(
    header="%SpotID RingNr nFrames nSaturated nUnfitted",
    columns=tuple(map(integer, ["spot_id", "ring", "frames", "saturated", "unfitted"])),
    written_by="ff-setup",
)

#: first id and one past the last id of each ring
IDS_HASH = Layout(
    header="",
    columns=(*map(integer, ["ring", "first_id", "end_id"]), *fixed("d_spacing")),
    written_by="ff-setup",
)

SPOTS_TO_INDEX = Layout(header="", columns=(integer("spot_id"),), written_by="ff-setup")

#: ``Spots.bin``: the columns of InputAll.csv and the radial deviation from the ideal ring; float64
SPOTS_BINARY = (*_INPUT.split(), "radial_deviation")

#: ``ExtraInfo.bin``: the first 14 columns of InputAllExtraInfoFittingAll.csv; float64
EXTRA_INFO_BINARY = tuple(f"{_INPUT} {_EXTRA}".split()[:14])

#: a rejected row around its id: before it, after it in InputAll.csv, and the columns that only the ExtraInfo file has
_REJECTED = (
    b"0.000 0.000 0.000 0.0000 ",
    b" 0.0000 0.0000 0.0000",
    b" 0.000 0.000 0.000 0.0000 0.000 0.000 0.000 0.000\n",
)

#: characters of a line that a message quotes
_SHOWN = 40

#: rows formatted at a time
_PART = 1 << 14


@dataclass(frozen=True)
class SpotTables:
    """What the setup stage hands on, with the numbers of its files.

    Parameters
    ----------
    input_all, extra_info, id_rings, ids_hash : the tables of the files of the same names
    spots_to_index : (n,) int64 spot ids
    parameters : of paramstest.txt
    """

    input_all: Table
    extra_info: Table
    id_rings: Table
    ids_hash: Table
    spots_to_index: NDArray[np.int64]
    parameters: Parameters


def read_spots(path: str | os.PathLike[str], layout: Layout) -> Table:
    """InputAll.csv (`INPUT_ALL`) or the ExtraInfo file (`EXTRA_INFO`), checked: spot r + 1 is in row r.

    Surplus columns are ignored; a line that is blank or not numbers is a `FormatError`.
    """
    content = read_bytes(path, advice=f"run {layout.written_by} first")
    if blank := re.search(rb"\n[ \t\r]*\n[ \t\r\n]*[^ \t\r\n]", content):
        raise FormatError("is blank", file=path, line=content.count(b"\n", 0, blank.start()) + 2)
    table = layout.parse(content, path)
    check_spots(table, path)
    return table


def check_spots(table: Table, source: str | os.PathLike[str]) -> None:
    """A `FormatError` that names `source` unless there are spots, all numbers are finite and row r has id r + 1."""
    first_line = 2
    if not len(table):
        raise FormatError("holds no spots", file=source)
    bad = np.flatnonzero(~np.isfinite(table.columns).all(axis=0))
    if len(bad):
        raise FormatError("must hold finite numbers", file=source, line=int(bad[0]) + first_line)
    bad = np.flatnonzero(table["spot_id"] != np.arange(1, len(table) + 1))
    if len(bad):
        row = int(bad[0])
        raise FormatError(
            "spot ids must be 1, 2, 3 ... in the order of the rows",
            file=source,
            line=row + first_line,
            key="SpotID",
            value=f"{table['spot_id'][row]:g}",
        )


def read_binary_spots(path: str | os.PathLike[str], names: tuple[str, ...]) -> Table:
    """Spots.bin (`SPOTS_BINARY`) or ExtraInfo.bin (`EXTRA_INFO_BINARY`), every row checked to hold possible numbers."""
    table = Table(names, read_records(path, FLOAT64, (len(names),), written_by="ff-bin").T)
    if not len(table):
        raise FormatError("holds no spots", file=path)
    sound = np.isfinite(table.columns).all(axis=0) & (abs(table["omega_ideal"]) <= 360) & (abs(table["eta"]) <= 360)
    sound &= (abs(table["spot_id"]) < 2**31) & (abs(table["ring"]) < 2**31)
    if not sound.all():
        raise FormatError(f"row {np.argmin(sound)} holds no spot; run ff-bin again", file=path)
    return table


def write_spot_tables(layer: Layer, extra_info: Table, rejected: NDArray[np.bool_], threads: int) -> None:
    """Write InputAll.csv, InputAllNoHeader.csv and the ExtraInfo file, whose rows share their text.

    Parameters
    ----------
    extra_info : all 16 columns
    rejected : rows that keep only their spot id
    """
    marks = np.ascontiguousarray(rejected, dtype=np.uint8)
    files = (layer.input_all_no_header, layer.input_all, layer.extra_info)
    with atomic_outputs(*files) as (headless_file, input_file, extra_file):
        extra_file.write(EXTRA_INFO.header.encode() + b"\n")
        input_file.write(INPUT_ALL.header.encode() + b"\n")
        for begin in range(0, len(extra_info), _PART):
            end = min(begin + _PART, len(extra_info))
            full, leading = format_spots(
                extra_info.columns, len(INPUT_ALL.columns), extra_info["spot_id"], marks, _REJECTED, begin, end, threads
            )
            extra_file.write(full)
            input_file.write(leading)
            headless_file.write(leading)


#: stands for a line of SpotsToIndex.csv without an id: a seed without a spot
NO_SPOT = 0


def read_seed_ids(path: str | os.PathLike[str], *, blanks: bool = False) -> NDArray[np.int64]:
    """Seed spot ids of ``SpotsToIndex.csv``; the line number is the row of a seed in the binary results.

    The first number of a line counts (lines of a seeded run hold two). A line without a number is `NO_SPOT` if
    `blanks`, with a warning unless it is blank; else an error, because a result table cannot have such a row; at the
    end of the file a blank one is ignored.
    """
    content = read_bytes(path, advice="run ff-setup first")
    refuse_nul(content, path)
    lines = content.splitlines() if blanks else content.rstrip().splitlines()
    ids = np.zeros(len(lines), dtype=np.int64)
    strange = []
    for row, line in enumerate(lines):
        number = _FIRST_INTEGER.match(line)
        if number:
            ids[row] = int(number[1])
        elif not blanks:
            value = line.decode("latin-1").strip()[:_SHOWN]
            raise FormatError("must begin with a spot id", file=path, line=row + 1, value=value or None)
        elif line.strip():
            strange.append(row + 1)
    if strange:
        log.warning(
            "%s: %d lines hold no spot id (first: line %d); nothing is indexed there", path, len(strange), strange[0]
        )
    return ids


_FIRST_INTEGER = re.compile(rb"[ \t]*([+-]?\d{1,18})(?![\w.])")
