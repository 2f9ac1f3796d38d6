"""Scans that the referee makes, through the whole pipeline of the suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np

from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.runtime.parallel import SERIAL

from .referee.crystals import Crystal, face_centred, reflections_of
from .referee.frames import Recording, Scan, expose
from .referee.instrument import Instrument
from .referee.judging import Verdict, judge
from .referee.lists import Value, parameter_text, read_grains
from .referee.rotations import random
from .referee.tracing import Spots, trace

NICKEL = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
#: rings that are searched, and h² + k² + l² of the last of them
RINGS, LAST_RING = range(1, 6), 12
#: pieces that a crystal with an extent is drawn with
PIECES = 12


def nickel(seed: int, count: int, *, size: float = 0.0, mosaic: float = 0.0) -> list[Crystal]:
    """Strained crystals in a cylinder of 200 µm and 120 µm height."""
    rng = np.random.default_rng(seed)
    radius, angle = 200 * np.sqrt(rng.random(count)), 2 * np.pi * rng.random(count)
    positions = np.column_stack([radius * np.cos(angle), radius * np.sin(angle), rng.uniform(-60, 60, count)])
    strain = rng.uniform(-5e-4, 5e-4, (count, 3, 3))
    strain += strain.swapaxes(1, 2)
    return [
        Crystal(NICKEL, u, position, e, size=size, mosaic=mosaic)
        for u, position, e in zip(random(rng, count), positions, strain, strict=True)
    ]


@dataclass(frozen=True)
class Measurement:
    """A sample on an instrument, and how it is measured and analysed.

    Parameters
    ----------
    crystals : of nickel
    instrument, scan, recording : see there
    threshold : of the peak search, counts
    keys : of the parameter file, to add or to replace
    """

    crystals: Sequence[Crystal]
    instrument: Instrument = Instrument()
    scan: Scan = Scan()
    recording: Recording = Recording()
    threshold: float = 40.0
    keys: tuple[tuple[str, Value], ...] = ()

    def spots(self, crystals: Sequence[Crystal]) -> Spots:
        """Every spot of some crystals up to the radius `rho_d`: the rings that are searched, and one more."""
        return trace(crystals, self.reflections(), self.instrument)

    def reflections(self) -> np.ndarray:
        """(n, 3) Miller indices."""
        smallest = self.instrument.wavelength / 2 / np.sin(0.5 * np.arctan(self.instrument.rho_d / self.instrument.lsd))
        return reflections_of(NICKEL, smallest, face_centred)

    def recorded(self) -> int:
        """How many spots the analysis may use: on the detector, in the scan, away from the poles."""
        spots = self.spots(self.crystals)
        rows, columns = self.instrument.shape
        low, high = min(self.scan.start, self.scan.end), max(self.scan.start, self.scan.end)
        eta = np.abs(spots.eta)
        searched = np.sum(self.reflections()[spots.reflection] ** 2, axis=1) <= LAST_RING
        inside = (spots.y_px > 0) & (spots.y_px < columns - 1) & (spots.z_px > 0) & (spots.z_px < rows - 1)
        return int(np.sum(searched & inside & ((spots.omega - low) % 360 < high - low) & (eta > 6) & (eta < 174)))

    def frames(self) -> np.ndarray:
        """What the detector writes."""
        rng = np.random.default_rng(self.recording.seed)
        pieces = [piece for crystal in self.crystals for piece in crystal.pieces(rng, PIECES)]
        return expose(self.spots(pieces), self.instrument.shape, self.scan, self.recording)

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Parameter file and raw data."""
        parameter_file, data_file = folder / "ps.txt", folder / "scan_000001.h5"
        text = parameter_text(self.instrument, self.scan, NICKEL, 225, RINGS, self.threshold, **dict(self.keys))
        parameter_file.write_text(text, encoding="utf-8")
        with h5py.File(data_file, "w") as file:
            frames = self.frames()
            file.create_dataset("exchange/data", data=frames, chunks=(1, *frames.shape[1:]), compression="lzf")
        return parameter_file, data_file

    def judged(self, folder: Path) -> tuple[Verdict, float]:
        """Measure, analyse and compare.

        Returns
        -------
        What became of the crystals, and the share of their `recorded` spots that the grains have
        """
        parameter_file, data_file = self.write(folder)
        files = {"parameter_file": parameter_file, "data_file": data_file, "result_folder": folder}
        layers.run(Options(**files, threads=1, per_spot_groups=0), comm=SERIAL)
        layer = folder / "LayerNr_1"
        matched = len((layer / "SpotMatrix.csv").read_text(encoding="utf-8").splitlines()) - 1
        verdict = judge(self.crystals, read_grains(layer / "Grains.csv"), 0.5 * self.scan.step)
        return verdict, matched / self.recorded()

    def at(self, **changes: object) -> Measurement:
        """The same with another instrument; keywords are its fields."""
        return replace(self, instrument=replace(self.instrument, **changes))
