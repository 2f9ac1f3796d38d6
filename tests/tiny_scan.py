"""A scan of four grains that every stage is through with in a second, and what tests of whole runs ask about it."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import h5py

from midas import simulation
from midas.archive import Archive
from midas.simulation import samples

GRAINS = 4
FRAMES = 180
OMEGA_STEP = 1.0

#: a message of the driver
LOG_LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d - MIDAS - (INFO|WARNING|ERROR) - .")

#: the fixture `in_process`
Call = Callable[..., int]
#: the fixture `finished`
Finished = tuple[Path, "subprocess.CompletedProcess[str]"]

#: in the layer folder, but not the same for every run: logs, and what holds absolute paths or times
_VOLATILE = (
    "midas_log",
    "output",
    ".MIDAS.zip",
    ".MIDAS.zip.old",
    "_consolidated.h5",
    "_report.html",
    "_report.png",
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


def make(folder: Path, side: int = 256, step: float = OMEGA_STEP) -> TinyScan:
    """Simulate the scan; finer pixels and steps of omega make it a larger one of the same grains."""
    parameters = samples.write(
        "demo", folder, NrPixels=side, px=204800 // side, BC=(side // 2, side // 2), OmegaStep=step, OmegaSpread=0.3,
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


def prepare(folder: Path, scan: TinyScan, *lines: str, ending: str = "\n") -> Path:
    """A parameter file for numbered raw files in `folder`/raw data, and two of these."""
    (folder / "raw data").mkdir(parents=True)
    for number in (1, 2):
        shutil.copy(scan.raw, folder / "raw data" / f"scan_{number:06d}.h5")
    added = ["FileStem scan", "Ext .h5", "StartFileNrFirstLayer 1", "RawFolder raw data", *lines]
    path = folder / "ps file.txt"
    path.write_text(scan.parameters.read_text() + "\n".join(added) + ending)
    return path
