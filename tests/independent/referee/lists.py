"""Text: the parameter file of a scan, and the list of grains that comes back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .frames import Scan
from .instrument import Instrument

Array = NDArray[np.float64]

#: a value, or one tuple per line
Value = float | str | tuple[float, ...] | list[tuple[float, ...]]

_SEARCH: Mapping[str, Value] = {
    "OverAllRingToIndex": 2,
    "Completeness": 0.8,
    "MinNrSpots": 1,
    "UseFriedelPairs": 1,
    "MinEta": 6,
    "Rsample": 1000,
    "Hbeam": 400,
    "Vsample": 1e7,
    "BeamThickness": 200,
    "GlobalPosition": 0,
    "NumPhases": 1,
    "PhaseNr": 1,
    "tInt": 0.3,
    "tGap": 0,
    "ImTransOpt": 0,
    "NrFilesPerSweep": 1,
    "StepSizeOrient": 0.2,
    "StepSizePos": 100,
    "Width": 1600,
    "MarginRadial": 500,
    "MarginEta": 500,
    "MarginOme": 0.5,
    "MarginRadius": 500,
    "OmeBinSize": 0.1,
    "EtaBinSize": 0.1,
    "MargABC": 4.8,
    "MargABG": 4.8,
    "WriteLegacyBins": 0,
    "UpperBoundThreshold": 65000,
}


def parameter_text(
    instrument: Instrument,
    scan: Scan,
    cell: tuple[float, ...],
    space_group: int,
    rings: Iterable[int],
    threshold: float,
    **changes: Value,
) -> str:
    """The parameter file of the analysis of a scan; `changes` are keys to add or to replace."""
    p0, p1, p2, p3 = instrument.distortion
    tx, ty, tz = instrument.tilts
    low, high = min(scan.start, scan.end), max(scan.start, scan.end)
    values: dict[str, Value] = {
        "LatticeConstant": cell,
        "SpaceGroup": space_group,
        "Wavelength": instrument.wavelength,
        "Lsd": instrument.lsd,
        "BC": instrument.beam_centre,
        "px": instrument.px,
        "RhoD": instrument.rho_d,
        **dict(zip(("tx", "ty", "tz", "p0", "p1", "p2", "p3"), (tx, ty, tz, p0, p1, p2, p3), strict=True)),
        "Wedge": instrument.wedge,
        "OmegaStart": scan.start,
        "OmegaStep": scan.step,
        "MinOmeSpotIDsToIndex": low,
        "MaxOmeSpotIDsToIndex": high,
        "RingThresh": [(ring, threshold) for ring in rings],
        **_SEARCH,
        **changes,
    }
    lines = []
    for key, value in values.items():
        for row in value if isinstance(value, list) else [value]:
            lines.append(f"{key} {' '.join(map(str, row)) if isinstance(row, tuple) else row}")
    return "\n".join(lines) + "\n"


@dataclass(frozen=True)
class FoundGrain:
    """A line of a grain list: crystal to sample, µm, Å and degrees, share of the expected spots."""

    orientation: Array
    position: Array
    cell: tuple[float, ...]
    completeness: float


def read_grains(path: Path) -> list[FoundGrain]:
    """The grains of a Grains.csv: columns 2-10, 11-13, 14-19 and 24 of its lines without %."""
    rows = [
        np.array(line.split(), np.float64)
        for line in path.read_text(encoding="utf-8").splitlines()
        if line[:1].isdigit()
    ]
    return [FoundGrain(row[1:10].reshape(3, 3), row[10:13], tuple(row[13:19]), float(row[23])) for row in rows]
