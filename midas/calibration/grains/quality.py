"""``GrainQuality.csv`` with what the sigmas say of the grains (docs/theory/uncertainty.md#in-grainqualitycsv)."""

from __future__ import annotations

import numpy as np

from midas.formats.grains import CELL
from midas.formats.resolved import GRAIN_QUALITY
from midas.formats.table import Table
from midas.formats.uncertainty import POSITION, ROTATION, GrainSigmas

#: flag of GrainQuality.csv: the position is hardly known
UNDETERMINED = 4
#: of Rsample, from which on it is
_LARGEST = 1 / 3


def with_sigmas(quality: Table, grains: Table, sigmas: GrainSigmas, r_sample: float) -> Table:
    """The table with the columns SigmaPos, SigmaAngle and SigmaCell, and the flag of undetermined positions.

    Parameters
    ----------
    quality, grains : of ``GrainQuality.csv`` and ``Grains.csv``
    r_sample : half width of the sample, µm
    """
    position = np.linalg.norm([sigmas[f"s{name}"] for name in POSITION], axis=0)
    angle = np.linalg.norm([sigmas[f"s{name}"] for name in ROTATION], axis=0)
    relative = np.array([sigmas[f"s{name}"] / grains[name] for name in CELL[:3]]).reshape(3, -1)
    cell = 1e6 * (relative.max(axis=0) if len(grains) else np.empty(0))
    place = {grain: row for row, grain in enumerate(grains.integers("GrainID").tolist())}
    rows = np.array([place.get(grain, -1) for grain in quality.integers("GrainID").tolist()], np.int64)
    known = rows >= 0
    columns = {name: quality[name].copy() for name in GRAIN_QUALITY.names}
    for name, values in (("SigmaPos", position), ("SigmaAngle", angle), ("SigmaCell", cell)):
        columns[name][known] = values[rows[known]]
    flags = columns["Flags"].astype(np.int64) & ~UNDETERMINED
    loose = known & ~(columns["SigmaPos"] <= _LARGEST * r_sample)
    columns["Flags"] = np.where(loose, flags | UNDETERMINED, flags).astype(np.float64)
    return Table.from_columns(GRAIN_QUALITY.names, columns)
