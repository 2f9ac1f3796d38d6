"""The sets: what is in each, how it is measured, and what must come out.

Sets in `SETS` whose `measured` is "spots" are tables of spots (exact ones, blurred by 10 µm and 0.03 degrees, those
nearer than a pixel and a step merged); the others are frames of the simulator with Poisson noise.

>>> made = SETS["twins4"].make(folder)  # files in the folder: parameters, archive
>>> made.analyse(GrainMerging="legacy")  # a Score; keywords are keys of the parameter file
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from independent.referee.frames import Scan
from independent.referee.instrument import Instrument

from crystal_sets import analysis
from crystal_sets.grains import NICKEL, Mosaic, scattered, turned_neighbours, with_twins
from crystal_sets.listing import Bench, Blur
from crystal_sets.scoring import Limits, Score, score
from midas import simulation
from midas.archive.update import update
from midas.formats.layer import Layer
from midas.formats.simulated import GrainList
from midas.formats.table import Table
from midas.parameters.table import Value
from midas.simulation import samples

#: rings that are searched; a spacing (Å) between the fifth and the sixth
RINGS, SMALLEST_SPACING = range(1, 6), 0.95
_BRIGHT = 30

#: of sets of spots: a fine detector, part of a turn
_FINE = {"px": 100, "NrPixels": 2048, "BC": (1024, 1024)}
_PART = {"OmegaStart": -60, "OmegaEnd": 60, "OmegaStep": 0.25, "OmegaRange": [(-60, 60)]}
#: of all sets; the seeds are those of the middle of the scan
_ALL = {
    "MinOmeSpotIDsToIndex": -60,
    "MaxOmeSpotIDsToIndex": 60,
    "WriteAnalysisZip": 1,
    "WriteLegacyBins": 0,
    "WriteSpots": 0,
}
#: of sets of frames
_DRAWN = {
    "OmegaSpread": 0.2,
    "Noise": "poisson",
    "RandomSeed": 1,
    "RingThresh": [(ring, _BRIGHT) for ring in RINGS],
}
_MOSAIC_LIMITS = Limits(angle=1.0, distance=150.0, copy=4.0)


@dataclass(frozen=True)
class Required:
    """What must come out of a rule.

    Parameters
    ----------
    found : fewest grains
    copies, ghosts : most surplus grains
    position : largest median of the position errors, µm
    worst : largest angle and distance of any grain, degrees and µm
    """

    found: int
    copies: int = 0
    ghosts: int = 0
    position: float = np.inf
    worst: tuple[float, float] = (np.inf, np.inf)

    def holds(self, result: Score) -> bool:
        """Whether a result is as good."""
        counts = result.found >= self.found and result.copies <= self.copies and result.ghosts <= self.ghosts
        near = not result.position[0] > self.position
        return counts and near and all(np.array(result.worst) <= self.worst)

    def __str__(self) -> str:
        position = "" if self.position == np.inf else f", median <= {self.position:g} µm"
        angle, distance = self.worst
        worst = "" if distance == np.inf else f", all <= {distance:g} µm, {angle:g}°"
        return f">= {self.found} / {self.copies} / {self.ghosts}{position}{worst}"


@dataclass(frozen=True)
class CrystalSet:
    """A sample and its measurement.

    Parameters
    ----------
    purpose : what it shows
    truth : draws the true grains
    measured : "spots" or "frames"
    required : by the value of ``GrainMerging``
    values : of the parameter file
    mosaic : how the grains fall into pieces; None: not at all
    spurious : spots anywhere on each ring
    blur : of a table of spots
    limits : of the comparison
    """

    purpose: str
    truth: Callable[[], GrainList]
    measured: str = "spots"
    required: dict[str, Required] = field(default_factory=dict)
    values: dict[str, Value] = field(default_factory=dict)
    mosaic: Mosaic | None = None
    spurious: int = 0
    blur: Blur = Blur()
    limits: Limits = Limits()

    def make(self, folder: Path, *, threads: int = 1) -> Made:
        """Write parameter file and archive, and what stands for frames where there are none."""
        values = {**_ALL, **(_DRAWN if self.measured == "frames" else {}), **self.values}
        broken = None if self.mosaic is None else self.mosaic.broken
        sample = samples.Sample(self.purpose, 225, NICKEL, self.truth, values, broken)
        parameter_file = samples.write_sample(sample, folder)
        if self.measured == "frames":
            archive = simulation.run(parameter_file, threads=threads, folder=folder).data.archive
            assert archive is not None
            return Made(self, folder, parameter_file, archive, None)
        bench = bench_of({**samples.COMMON, **values})
        shape = (bench.scan.frames, *bench.instrument.shape)
        archive = analysis.empty_archive(folder / "sim.analysis.MIDAS.zip", parameter_file, shape)
        grains_drawn = self.truth() if broken is None else broken(self.truth())
        spots = [bench.spots(grains_drawn, self.blur)]
        if self.spurious:
            spots.append(bench.spurious(self.spurious, self.blur.seed + 1))
        return Made(self, folder, parameter_file, archive, bench.table(spots))


@dataclass(frozen=True)
class Made:
    """A set that is measured: its files, and the merged spots of a set without frames."""

    what: CrystalSet
    folder: Path
    parameter_file: Path
    archive: Path
    spots: Table | None

    def run(self, *, threads: int = 1, search: bool = True, **keys: Value) -> Layer:
        """The layer folder ``LayerNr_1`` beside the archive, made anew.

        Parameters
        ----------
        search : False goes on from the peaks of the run before
        keys : of the parameter file, that are set first; they stay
        """
        layer = self.folder / "LayerNr_1"
        if search:
            shutil.rmtree(layer, ignore_errors=True)
        for name, value in keys.items():
            for archive in (self.archive, layer / self.archive.name):
                if archive.exists():
                    update(archive, name, str(value).split())
            lines = self.parameter_file.read_text(encoding="utf-8").splitlines()
            kept = [line for line in lines if line.split()[:1] != [name]]
            self.parameter_file.write_text("\n".join([*kept, f"{name} {value}"]) + "\n", encoding="utf-8")
        if self.spots is None:
            return analysis.from_frames(self.parameter_file, self.archive, threads=threads, search=search)
        return analysis.from_spots(self.parameter_file, self.archive, self.spots, threads=threads)[0]

    def judge(self, layer: Layer) -> Score:
        """A result against the truth."""
        step = float(self.what.values.get("OmegaStep", samples.COMMON["OmegaStep"]))
        half = 0.5 * step if self.spots is None else 0.0
        return score(self.what.truth(), analysis.grains_of(layer), NICKEL, turn=half, limits=self.what.limits)

    def analyse(self, *, threads: int = 1, search: bool = True, **keys: Value) -> Score:
        """`run` and `judge`."""
        return self.judge(self.run(threads=threads, search=search, **keys))


def bench_of(values: dict[str, Value]) -> Bench:
    """The instrument and the scan of a parameter file without tilts, as the referee has them."""
    pixels, step = int(values["NrPixels"]), float(values["OmegaStep"])
    instrument = Instrument(
        lsd=float(values["Lsd"]),
        beam_centre=tuple(map(float, values["BC"])),
        px=float(values["px"]),
        rho_d=float(values["RhoD"]),
        wavelength=float(values["Wavelength"]),
        shape=(pixels, pixels),
    )
    frames = round((float(values["OmegaEnd"]) - float(values["OmegaStart"])) / step)
    return Bench(instrument, Scan(float(values["OmegaStart"]), step, frames), NICKEL, SMALLEST_SPACING)


def _pairs(seed: int, count: int, angle: float, apart: tuple[float, float]) -> Callable[[], GrainList]:
    return partial(turned_neighbours, seed, count, angle, apart)


def _low() -> GrainList:
    return scattered(201, 300)


def _high() -> GrainList:
    return scattered(202, 1000)


def _few() -> GrainList:
    return scattered(210, 20, radius=300)


_SPOTS = {**_FINE, **_PART}
CROWDED = {
    "OmegaStart": -180, "OmegaEnd": 180, "OmegaStep": 0.5, "OmegaRange": [(-180, 180)], "Background": 20,
    "OmegaSpread": 0.15, "MinOmeSpotIDsToIndex": -180, "MaxOmeSpotIDsToIndex": 180,
    "RingThresh": [(ring, 60) for ring in RINGS],
}  # fmt: skip
_WIDE = {"Completeness": 0.4, "MarginRadial": 1000, "MarginEta": 2500, "MarginOme": 1.5}
_BROKEN = {"measured": "frames", "truth": _few, "limits": _MOSAIC_LIMITS}
_SUB, _SAME = _pairs(207, 40, 0.3, (60, 150)), _pairs(209, 30, 0.05, (200, 200))

SETS: dict[str, CrystalSet] = {
    "low": CrystalSet("300 grains", _low, "frames", {"spots": Required(294)}),
    "high": CrystalSet("1000 grains", _high, "frames", {"spots": Required(933)}),
    "low-spots": CrystalSet("300 grains, a table of spots", _low, required={"spots": Required(299)}),
    "high-spots": CrystalSet("1000 grains, a table of spots", _high, required={"spots": Required(997)}),
    "ghost": CrystalSet(
        "300 grains and 600 spurious spots on every ring, completeness of 0.4, wide margins",
        _low, required={"spots": Required(299)}, values=_WIDE, spurious=600,
    ),
    "ghost-small": CrystalSet(
        "30 grains and 300 spurious spots on every ring, completeness of 0.4, wide margins",
        partial(scattered, 203, 30), required={"spots": Required(30)}, values=_WIDE, spurious=300,
    ),
    "twins": CrystalSet(
        "60 pairs of a crystal and one of its twins, 40 µm apart",
        partial(with_twins, 204, 60, 1, 40.0), "frames", {"spots": Required(120)},
    ),
    "twins4": CrystalSet(
        "15 crystals with all four twins",
        partial(with_twins, 205, 15, 4, 40.0), required={"spots": Required(75)}, values=_SPOTS,
    ),
    "twins4-alone": CrystalSet(
        "the four twins of 15 crystals that are not there themselves",
        partial(with_twins, 206, 15, 4, 40.0, parents=False), required={"spots": Required(60)}, values=_SPOTS,
    ),
    "sub": CrystalSet(
        "40 pairs, 0.3 degrees and 60 to 150 µm apart", _SUB, required={"spots": Required(78)}, values=_SPOTS,
    ),
    "same": CrystalSet(
        "30 pairs, 0.05 degrees and 200 µm apart", _SAME, required={"spots": Required(55, 2)}, values=_SPOTS,
    ),
    "crowd": CrystalSet(
        "1000 grains, a full turn, background", partial(scattered, 221, 1000), "frames",
        {"spots": Required(990, 5, 0, worst=(0.1, 20.0))}, values=CROWDED,
    ),
    "sub-frames": CrystalSet("sub on frames of pixels of 200 µm", _SUB, "frames"),
    "sub-frames-fine": CrystalSet("sub on frames of pixels of 100 µm", _SUB, "frames", values=_FINE),
    "same-frames-fine": CrystalSet("same on frames of pixels of 100 µm", _SAME, "frames", values=_FINE),
    "mosaic0.5": CrystalSet(
        "20 crystals with a spread of 0.5 degrees, of 40 pieces each",
        required={"spots": Required(20), "mosaic": Required(20)}, mosaic=Mosaic(211, 0.5, (40, 40)), **_BROKEN,
    ),
    "mosaic1.5": CrystalSet(
        "20 crystals with a spread of 1.5 degrees, of 40 pieces each",
        required={"mosaic": Required(20, position=13.0)}, mosaic=Mosaic(212, 1.5, (40, 40)), **_BROKEN,
    ),
    "lumps1.0": CrystalSet(
        "20 crystals with a spread of 1 degree, of 4 to 9 unequal pieces each",
        required={"mosaic": Required(20, position=13.0)}, mosaic=Mosaic(213, 1.0, (4, 9), (1, 4)), **_BROKEN,
    ),
    "lumps2.0": CrystalSet(
        "20 crystals with a spread of 2 degrees, of 4 to 9 unequal pieces each",
        mosaic=Mosaic(214, 2.0, (4, 9), (1, 4)), **_BROKEN,
    ),
}  # fmt: skip
