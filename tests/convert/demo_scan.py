"""The demo sample, smaller, as frames in memory; and an analysis of whatever files they are written to."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from midas import simulation
from midas.archive import Archive
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.runtime.parallel import SERIAL
from midas.simulation import samples

GRAINS = 4


@dataclass(frozen=True)
class DemoScan:
    """What a detector would hand over. The arrays cannot be written to: every test has the same ones.

    Parameters
    ----------
    frames, dark : (frames, rows, columns), uint16, the dark level in both
    omegas : (frames,) degrees, at which each frame begins
    parameters : text of a parameter file without names of files
    """

    frames: np.ndarray
    dark: np.ndarray
    omegas: np.ndarray
    parameters: str


@cache
def demo_scan() -> DemoScan:
    """Simulated once in a session."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameter_file = samples.write(
            "demo", folder, NrPixels=256, px=800, BC=(128, 128), OmegaStep=1.0, OmegaSpread=0.3, WriteLegacyBins=0
        )
        truth = folder / samples.GRAINS_FILE
        lines = truth.read_text().splitlines()
        truth.write_text("\n".join([f"%NumGrains {GRAINS}", *lines[1 : 9 + GRAINS], ""]))
        archive = simulation.run(parameter_file, threads=1, folder=folder).data.archive
        with Archive(archive) as opened:
            stacks = [np.stack([stack[i] for i in range(len(stack))]) for stack in (opened.frames, opened.dark)]
            omegas = np.array(opened.omegas, np.float64)
        for array in (*stacks, omegas):
            array.setflags(write=False)
        return DemoScan(*stacks, omegas, parameter_file.read_text())


def analysed(folder: Path, parameter_text: str, **options: Any) -> bytes:
    """Grains.csv of a whole run in this process; `options` are those of `midas.pipeline.options.Options`."""
    parameter_file = folder / "ps.txt"
    parameter_file.write_text(parameter_text)
    chosen = {"parameter_file": parameter_file, "result_folder": folder, "threads": 1, "per_spot_groups": 0, **options}
    layers.run(Options(**chosen), comm=SERIAL)
    return (folder / "LayerNr_1" / "Grains.csv").read_bytes()
