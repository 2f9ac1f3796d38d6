"""Samples with known truth: the data sets of docs/theory/simulation.md#samples, and a small one to show the suite.

Each is a list of grains and a parameter file that serves the simulation and the analysis. `write` puts both into a
folder; `midas.simulation.run` and the pipeline take it from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from midas._ext.numerics.elementwise import cos, sin
from midas.experiment.orientation import matrices_from_quaternions
from midas.formats.simulated import GrainList, grain_list_header, write_grain_list
from midas.parameters.table import Value
from midas.runtime.files import make_folder, write_atomic

Values = Mapping[str, Value]

FCC = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
TITANIUM = (2.9505, 2.9505, 4.6826, 90.0, 90.0, 120.0)
RUBY = (4.7592, 4.7592, 12.9927, 90.0, 90.0, 120.0)
GOLD = (4.08, 4.08, 4.08, 90.0, 90.0, 90.0)

GRAINS_FILE, TRUTH_FILE, PARAMETER_FILE = "GrainsSim.csv", "GrainsTrue.csv", "Parameters.txt"

#: parameters of every sample unless it says otherwise; a list of tuples is one line each
COMMON: Values = {
    "InFileName": GRAINS_FILE,
    "OutFileName": "sim",
    "nScans": 1,
    "PeakIntensity": 5000,
    "GaussWidth": 1,
    "WriteSpots": 1,
    "NrPixels": 1024,
    "px": 200,
    "Lsd": 500000,
    "BC": (512, 512),
    **dict.fromkeys(("tx", "ty", "tz", "p0", "p1", "p2", "p3", "Wedge"), 0),
    "RhoD": 102400,
    "Wavelength": 0.172979,
    "OmegaStart": -90,
    "OmegaEnd": 90,
    "OmegaStep": 0.5,
    "OmegaRange": [(-90, 90)],
    "RingThresh": [(ring, 10) for ring in range(1, 6)],
    "Vsample": 10000000,
    "BeamThickness": 200,
    "GlobalPosition": 0,
    "Rsample": 1000,
    "Hbeam": 400,
    "NumPhases": 1,
    "PhaseNr": 1,
    "tInt": 0.3,
    "tGap": 0,
    "ImTransOpt": 0,
    "UpperBoundThreshold": 16000,
    "NrFilesPerSweep": 1,
    "OverAllRingToIndex": 2,
    "Completeness": 0.8,
    "MinNrSpots": 1,
    "UseFriedelPairs": 1,
    "StepSizeOrient": 0.2,
    "StepSizePos": 100,
    "MinOmeSpotIDsToIndex": -90,
    "MaxOmeSpotIDsToIndex": 90,
    "MinEta": 6,
    "Width": 1500,
    "MarginRadial": 500,
    "MarginEta": 500,
    "MarginOme": 0.5,
    "MarginRadius": 500,
    "BoxSize": [(-1000000, 1000000, -1000000, 1000000)],
    "OmeBinSize": 0.1,
    "EtaBinSize": 0.1,
    "MargABC": 4.8,
    "MargABG": 4.8,
    "Twins": 0,
    "TakeGrainMax": 0,
    "DiscModel": 0,
    "DiscArea": 2250000,
}


def _seeds(low: float, high: float) -> Values:
    """Omega range of the seed spots."""
    return {"MinOmeSpotIDsToIndex": low, "MaxOmeSpotIDsToIndex": high}


def _scan(start: float, end: float, step: float, *ranges: tuple[float, float]) -> Values:
    """A scan, the omega ranges to analyse, and as many boxes."""
    return {
        "OmegaStart": start,
        "OmegaEnd": end,
        "OmegaStep": step,
        "OmegaRange": list(ranges),
        "BoxSize": COMMON["BoxSize"] * len(ranges),
    }


@dataclass(frozen=True)
class Grains:
    """Grains in a cylinder: random orientations, positions and cells, drawn in this order.

    Parameters
    ----------
    seed : of ``numpy.random.default_rng``
    count : grains
    cell : unstrained cell, Å and degrees
    radius : of the cylinder, µm
    z : its lower and upper end, µm
    strain : largest strain of a cell parameter
    """

    seed: int
    count: int
    cell: tuple[float, ...]
    radius: float
    z: tuple[float, float]
    strain: float

    def draw(self) -> GrainList:
        random = np.random.default_rng(self.seed)
        quaternions = random.standard_normal((self.count, 4))
        quaternions /= np.linalg.norm(quaternions, axis=1, keepdims=True)
        u = random.random((self.count, 3))
        strain = self.strain * (2 * random.random((self.count, 6)) - 1)
        radius, angle = self.radius * np.sqrt(u[:, 0]), 2 * np.pi * u[:, 1]
        z = self.z[0] + (self.z[1] - self.z[0]) * u[:, 2]
        positions = np.column_stack([radius * cos(angle), radius * sin(angle), z])
        lengths = np.array(self.cell[:3]) * (1 + strain[:, :3])
        angles = np.array(self.cell[3:]) + strain[:, 3:] * 180 / np.pi
        return GrainList(matrices_from_quaternions(quaternions), positions, np.hstack([lengths, angles]))


@dataclass(frozen=True)
class Sample:
    """A data set.

    Parameters
    ----------
    purpose : what it is for
    space_group, cell : of the crystal
    draw : makes the true grains
    values : parameters different from `COMMON`
    simulated : makes the grains to simulate from the true ones; None: the same
    """

    purpose: str
    space_group: int
    cell: tuple[float, ...]
    draw: Callable[[], GrainList]
    values: Values = field(default_factory=dict)
    simulated: Callable[[GrainList], GrainList] | None = None

    @property
    def truth_file(self) -> str:
        """The list to compare a reconstruction with."""
        return GRAINS_FILE if self.simulated is None else TRUTH_FILE

    @property
    def parameters(self) -> Values:
        crystal = {"LatticeConstant": self.cell, "SpaceGroup": self.space_group}
        return {**crystal, **COMMON, **self.values}


def _with_near_duplicates() -> GrainList:
    """Twenty grains, and the last four of them again a little apart (data set DS5)."""
    grains = Grains(105, 20, FCC, 300, (-100, 100), 1e-3).draw()
    random = np.random.default_rng(1050)
    axes, shifts = random.standard_normal((4, 3)), random.uniform(-60, 60, (4, 3))
    assert grains.cells is not None
    return GrainList(
        np.concatenate([grains.matrices, _turns(axes, np.full(4, 0.8)) @ grains.matrices[16:]]),
        np.concatenate([grains.positions, grains.positions[16:] + shifts]),
        np.concatenate([grains.cells, grains.cells[16:]]),
    )


def _mosaic(grains: GrainList) -> GrainList:
    """Every grain as nine sub-grains, turned in steps of 0.12° about an axis of its own."""
    random = np.random.default_rng(1050)
    random.standard_normal((4, 3))
    random.uniform(-60, 60, (4, 3))
    axes = np.repeat(random.standard_normal((len(grains), 3)), 9, axis=0)
    turns = _turns(axes, np.tile(0.12 * np.arange(-4, 5), len(grains)))
    assert grains.cells is not None
    matrices, positions, cells = (np.repeat(a, 9, axis=0) for a in (grains.matrices, grains.positions, grains.cells))
    return GrainList(turns @ matrices, positions, cells)


def _turns(axes: NDArray[np.float64], degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation matrices about axes of any length."""
    half = np.radians(degrees / 2)[:, None]
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    return matrices_from_quaternions(np.hstack([cos(half), sin(half) * axes]))


def _gold_grains() -> GrainList:
    """The three grains of the legacy example."""
    rows = np.array(
        [
            [0.974187, 0.117376, -0.192830, 0.048149, 0.726501, 0.685480, 0.220549, -0.677070, 0.702097]
            + [0.398665, 0.048383, 0.704670, 4.081838, 4.080082, 4.081172, 90.023229, 90.008685, 89.975450],
            [0.635707, 0.559270, -0.532072, -0.680332, 0.731594, -0.043856, 0.364735, 0.389862, 0.845564]
            + [-20.754256, -40.347857, 9.757392, 4.083518, 4.081822, 4.080661, 90.001069, 90.062210, 89.989547],
            [0.628178, 0.567207, -0.532605, -0.684713, 0.728102, -0.032175, 0.369541, 0.384893, 0.845752]
            + [40.975908, 20.603836, -5.766479, 4.084036, 4.082091, 4.078819, 90.046911, 90.042955, 90.122852],
        ]
    )
    return GrainList(rows[:, :9].reshape(-1, 3, 3), rows[:, 9:12], rows[:, 12:])


_DS4 = Grains(104, 40, FCC, 400, (-100, 100), 1e-3).draw
_DS4_SPLIT = {**_scan(60, -60, -0.5, (-60, -10), (10, 60)), **_seeds(-60, 60)}
_DS5: Values = {
    **_scan(45, -45, -0.25, (-45, 45)),
    **_seeds(-45, 45),
    "GaussWidth": 1.5,
    "RingThresh": [(ring, 50) for ring in range(1, 6)],
    "OverAllRingToIndex": 1,
}

SAMPLES: Mapping[str, Sample] = {
    "gold": Sample(
        "the three gold grains of the legacy example, with a read-out gap that the simulation does not have",
        225,
        GOLD,
        _gold_grains,
        {
            **_scan(180, -180, -0.25, (-180, 180)),
            "NrPixels": 2048,
            "Lsd": 1000000,
            "BC": (1022, 1022),
            "RhoD": 204800,
            "Wavelength": 0.22291,
            "GlobalPosition": 100,
            "Rsample": 2000,
            "Hbeam": 2000,
            "tGap": 0.15,
            "MinNrSpots": 3,
        },
    ),
    "ds1": Sample(
        "100 strained FCC grains", 225, FCC, Grains(101, 100, FCC, 400, (-100, 100), 2e-3).draw, _seeds(-60, 60)
    ),
    "ds1n": Sample(
        "ds1 with spots over several frames, background and noise; thresholds above the noise",
        225,
        FCC,
        Grains(101, 100, FCC, 400, (-100, 100), 2e-3).draw,
        {
            **_seeds(-60, 60),
            "RingThresh": [(ring, 60) for ring in range(1, 6)],
            "OmegaSpread": 0.3,
            "Background": 20,
            "Noise": "poisson",
            "RandomSeed": 1,
        },
    ),
    "ds2": Sample(
        "hexagonal titanium, wedge, tilts, distortion, beam centre beside the middle",
        194,
        TITANIUM,
        Grains(102, 40, TITANIUM, 300, (-100, 100), 1e-3).draw,
        {
            "Lsd": 800000,
            "BC": (509.3, 515.7),
            "tx": 0.2,
            "ty": 0.3,
            "tz": -0.25,
            "Wedge": 0.1,
            "p0": 0.0001,
            "p1": -0.00005,
            "p2": 0.0003,
            "p3": 10,
            "Width": 1000,
            "OverAllRingToIndex": 1,
        },
    ),
    "ds3": Sample(
        "trigonal ruby, rings with a gap between them",
        167,
        RUBY,
        Grains(103, 25, RUBY, 300, (-100, 100), 1e-3).draw,
        {
            "Lsd": 1000000,
            "RingThresh": [(ring, 10) for ring in (1, 2, 3, 5, 6)],
            "Width": 900,
            "OverAllRingToIndex": 3,
        },
    ),
    "ds4n": Sample(
        "partial scan, negative steps", 225, FCC, _DS4, {**_scan(60, -60, -0.5, (-60, 60)), **_seeds(-60, 60)}
    ),
    "ds4p": Sample(
        "partial scan, positive steps", 225, FCC, _DS4, {**_scan(-60, 60, 0.5, (-60, 60)), **_seeds(-60, 60)}
    ),
    "ds4c": Sample("two omega ranges", 225, FCC, _DS4, _DS4_SPLIT),
    "ds4d": Sample(
        "two omega ranges, seeds without Friedel mates", 225, FCC, _DS4, {**_DS4_SPLIT, "UseFriedelPairs": 0}
    ),
    "ds5a": Sample("mosaic spots, near-duplicate grains", 225, FCC, _with_near_duplicates, _DS5, _mosaic),
    "ds5b": Sample(
        "ds5a, merged by pixel overlap",
        225,
        FCC,
        _with_near_duplicates,
        {**_DS5, "UsePixelOverlap": 1, "doPeakFit": 1},
        _mosaic,
    ),
    "ds5c": Sample(
        "ds5a, merged by pixel overlap, without peak fits",
        225,
        FCC,
        _with_near_duplicates,
        {**_DS5, "UsePixelOverlap": 1, "doPeakFit": 0},
        _mosaic,
    ),
    "demo": Sample(
        "15 grains as a detector would see them: spots over several frames, background, noise, dark current",
        225,
        FCC,
        Grains(7, 15, FCC, 250, (-80, 80), 1e-3).draw,
        {
            "NrPixels": 512,
            "px": 400,
            "BC": (256, 256),
            "RingThresh": [(ring, 80) for ring in range(1, 6)],
            "OmegaSpread": 0.15,
            "Background": 20,
            "Noise": "poisson",
            "DarkFrames": 5,
            "DarkLevel": 100,
            "DarkNoise": 2,
            "RandomSeed": 1,
            "WriteAnalysisZip": 1,
        },
    ),
}


def write(name: str, folder: Path, **changes: Value) -> Path:
    """Write the grain list and the parameter file of a sample.

    Parameters
    ----------
    name : key of `SAMPLES`
    folder : made if it is missing
    changes : parameters to add or replace; None leaves one out

    Returns
    -------
    The parameter file.
    """
    return write_sample(SAMPLES[name], folder, **changes)


def write_sample(sample: Sample, folder: Path, **changes: Value) -> Path:
    """The same for a sample that is not in `SAMPLES`."""
    folder = make_folder(folder)
    truth = sample.draw()
    _write_grains(folder / sample.truth_file, truth, sample)
    if sample.simulated is not None:
        _write_grains(folder / GRAINS_FILE, sample.simulated(truth), sample)
    values = {key: value for key, value in {**sample.parameters, **changes}.items() if value is not None}
    text = "".join(f"{key} {_text(row)}\n" for key, value in values.items() for row in _rows(value))
    path = folder / PARAMETER_FILE
    write_atomic(path, text.encode())
    return path


def _write_grains(path: Path, grains: GrainList, sample: Sample) -> None:
    beam = float(sample.parameters["BeamThickness"])
    header = grain_list_header(len(grains), sample.space_group, np.array(sample.cell), beam)
    write_grain_list(path, GrainList(grains.matrices, grains.positions, grains.cells, header=header))


def _rows(value: Value) -> Sequence[Value]:
    return value if isinstance(value, list) else [value]


def _text(value: Value) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
