"""The spot tables of the setup stage and their binary twins (spec chapter 04 §5).

Row r (0-based) of every one of them belongs to spot id r + 1; a rejected spot keeps its row, filled with zeros.
"""

from __future__ import annotations

import os
import re

import numpy as np
from numpy.typing import NDArray

from midas.files import read_bytes
from midas.formats.table import Layout, fixed, integer

_INPUT = "y z omega grain_radius spot_id ring eta two_theta"
_EXTRA = "omega_raw y_no_wedge z_no_wedge y_px z_px omega_detector intensity raw_sum"

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

#: stands for a line of SpotsToIndex.csv without an id: a seed without a spot
NO_SPOT = 0

_FIRST_INTEGER = re.compile(rb"[ \t]*([+-]?\d{1,18})\b")


def read_seed_ids(path: str | os.PathLike[str]) -> NDArray[np.int64]:
    """First number of each line of ``SpotsToIndex.csv``; `NO_SPOT` for a line without one (spec chapter 05 §3.4)."""
    lines = read_bytes(path, advice="run ff-setup first").splitlines()
    found = map(_FIRST_INTEGER.match, lines)
    return np.array([int(number[1]) if number else NO_SPOT for number in found], dtype=np.int64)
