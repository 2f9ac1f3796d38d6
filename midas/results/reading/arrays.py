"""Tables of the files as structured arrays (docs/results.md#columns)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from midas.formats.grains import CELL, EULER_ANGLES, FABLE, KENESEI, ORIENTATION, POSITION
from midas.formats.peaks import LAYOUT as PEAKS
from midas.formats.table import Table
from midas.results.columns import GRAIN_DTYPE, PEAK_DTYPE, SPOT_DTYPE
from midas.results.tables.joins import SpotLinks

Structured = NDArray[np.void]

#: fields of one number, and their columns of ``Grains.csv``
_OF_GRAIN = {
    "grain_id": "GrainID",
    "radius": "GrainRadius",
    "completeness": "Confidence",
    "rms_strain_error": "RMSErrorStrain",
    "diff_pos": "DiffPos",
    "diff_ome": "DiffOme",
    "diff_angle": "DiffAngle",
    "phase": "PhaseNr",
}
#: fields of several numbers, and theirs
_OF_GRAIN_TOGETHER = {
    "orientation": ORIENTATION,
    "position": POSITION,
    "cell": CELL,
    "strain": KENESEI,
    "strain_fable": FABLE,
}
#: fields and their columns of ``SpotMatrix.csv``
_OF_SPOT = {
    "grain_id": "GrainID",
    "spot_id": "SpotID",
    "ring": "RingNr",
    "omega": "Omega",
    "omega_recorded": "OmeRaw",
    "y_recorded": "DetectorHor",
    "z_recorded": "DetectorVert",
    "eta": "Eta",
    "y_ideal": "YLab",
    "z_ideal": "ZLab",
    "theta": "Theta",
    "strain_error": "StrainError",
}
#: fields and their columns of the radius table
_OF_SIZE = {
    "intensity": "intensity",
    "omega_min": "min_omega",
    "omega_max": "max_omega",
    "frames": "frames",
    "grain_volume": "grain_volume",
    "grain_radius": "grain_radius",
    "powder_intensity": "powder_intensity",
}
#: columns of the peak tables after the id
_OF_PEAK = PEAKS.names[1:]


def grains_of(table: Table) -> Structured:
    """The grains of ``Grains.csv``."""
    out = np.empty(len(table), GRAIN_DTYPE)
    for name, column in _OF_GRAIN.items():
        out[name] = table[column]
    for name, columns in _OF_GRAIN_TOGETHER.items():
        out[name] = table.numbers(columns).reshape(out[name].shape)
    out["euler_angles"] = np.degrees(table.numbers(EULER_ANGLES))
    return _frozen(out)


def spots_of(spots: Table, radius: Table | None, radius_row: NDArray[np.int64]) -> Structured:
    """The spots of ``SpotMatrix.csv`` with their rows of the radius table; NaN where one has none."""
    out = np.empty(len(spots), SPOT_DTYPE)
    for name, column in _OF_SPOT.items():
        out[name] = spots[column]
    rows = at(radius_row, out["spot_id"], -1)
    known = rows >= 0
    for name, column in _OF_SIZE.items():
        out[name] = np.nan
        if radius is not None:
            out[name][known] = radius[column][rows[known]]
    return _frozen(out)


def peaks_of(links: SpotLinks) -> Structured:
    """The peaks of all merged spots, those of one together; NaN where the peak tables do not have one."""
    out = np.empty(len(links.constituents), PEAK_DTYPE)
    out["spot_id"] = links.final_spot_id
    for name, numbers in zip(("merged_id", "frame", "peak_id"), links.constituents.T, strict=True):
        out[name] = numbers
    for k, name in enumerate(_OF_PEAK, 1):
        out[name] = links.peaks[:, k]
    return _frozen(out)


def at(values: NDArray[np.int64], places: NDArray[np.int64], otherwise: int) -> NDArray[np.int64]:
    """The values at these places, `otherwise` where a place is not among them."""
    inside = (places >= 0) & (places < len(values))
    found: NDArray[np.int64] = np.where(inside, values[np.where(inside, places, 0)], otherwise)
    return found


def _frozen(array: Structured) -> Structured:
    """An array of results is read, not written: it is handed out again and again."""
    array.flags.writeable = False
    return array
