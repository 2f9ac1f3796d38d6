"""The spot tables of the setup stage and their binary twins (spec chapter 04 §5).

Row r (0-based) of every one of them belongs to spot id r + 1; a rejected spot keeps its row, filled with zeros.
"""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from midas.errors import FormatError
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


def read_seed_ids(path: str | os.PathLike[str]) -> NDArray[np.int32]:
    """Seed spot ids of ``SpotsToIndex.csv``; the line number is the row of a seed in the binary results.

    The first number of a line counts (lines of a seeded run hold two). A blank line would shift all later rows, so it
    is an error; at the end of the file it is not.
    """
    content = read_bytes(path, advice="run ff-setup first").rstrip()
    lines = content.split(b"\n") if content else []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise FormatError("is blank where a spot id must stand", file=path, line=number)
    ids = SPOTS_TO_INDEX.parse(content, path)["spot_id"]
    whole = ids.astype(np.int32)
    if (bad := np.flatnonzero(whole != ids)).size:
        raise FormatError("must be a whole number", file=path, line=int(bad[0]) + 1, value=f"{ids[bad[0]]:g}")
    return whole
