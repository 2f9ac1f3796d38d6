"""A scan of four grains that every stage is through with in a second, and what tests of whole runs ask about it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import h5py

from midas import samples, simulation
from midas.archive import Archive

GRAINS = 4
FRAMES = 180
OMEGA_STEP = 1.0

#: in the layer folder, but not the same for every run: logs, and what holds absolute paths or times
_VOLATILE = (
    "midas_log",
    "output",
    ".MIDAS.zip",
    ".MIDAS.zip.old",
    "_consolidated.h5",
    "_report.html",
    "Parameters.txt",
)


@dataclass(frozen=True)
class TinyScan:
    """Files that tests may read and copy, but not change.

    Parameters
    ----------
    folder : of all of them
    parameters : parameter file of the simulation and of the analysis
    archive : the scan with all its parameters
    raw : the same frames as a detector writes them
    truth : the grains
    """

    folder: Path
    parameters: Path
    archive: Path
    raw: Path
    truth: Path


def make(folder: Path) -> TinyScan:
    """Simulate the scan."""
    parameters = samples.write(
        "demo", folder, NrPixels=256, px=800, BC=(128, 128), OmegaStep=OMEGA_STEP, OmegaSpread=0.3,
        Noise=None, Background=None, DarkFrames=None, DarkLevel=None, DarkNoise=None, WriteLegacyBins=0,
    )  # fmt: skip
    truth = folder / samples.GRAINS_FILE
    lines = truth.read_text().splitlines()
    truth.write_text("\n".join([f"%NumGrains {GRAINS}", *lines[1 : 9 + GRAINS], ""]))
    archive = simulation.run(parameters, threads=1, folder=folder).data.archive
    raw = folder / "scan_000001.h5"
    with Archive(archive) as opened, h5py.File(raw, "w") as file:
        frames = opened.frames
        data = file.create_dataset("exchange/data", frames.shape, frames.dtype, chunks=(1, *frames.shape[1:]))
        for number in range(len(frames)):
            data[number] = frames[number]
    return TinyScan(folder, parameters, archive, raw, truth)


def digests(layer: Path) -> dict[str, str]:
    """What is in the files of a layer that must be the same for every run in the same folder."""
    return {
        str(path.relative_to(layer)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(layer.rglob("*"))
        if path.is_file() and not path.relative_to(layer).parts[0].endswith(_VOLATILE)
    }
