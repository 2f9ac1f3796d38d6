"""A small layer that the product made itself: simulated, analysed, every file there."""

from __future__ import annotations

import shutil
from pathlib import Path

import h5py
import numpy as np
import tifffile

from midas import simulation
from midas.archive import Archive, set_dataset
from midas.formats.matched import GRAIN_SET
from midas.formats.simulated import GrainList, grain_list_header, write_grain_list
from midas.parameters import ANALYSIS
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.results.matching.sets import aggregate_grains
from midas.simulation import samples

from .contents import Contents
from .harness import ARCHIVE, FRAMES, PARAMETERS

CHANGES = {
    "NrPixels": 256,
    "px": 800,
    "BC": (128, 128),
    "OmegaStart": -30,
    "OmegaEnd": 30,
    "OmegaStep": 60 / FRAMES,
    "OmegaRange": [(-30, 30)],
    "MinOmeSpotIDsToIndex": -8,
    "MaxOmeSpotIDsToIndex": 8,
    "IndexPasses": 1,  # three seeds, which the tests damage
    "MarginOme": 1,
    "GaussWidth": 0.8,
    "OmegaSpread": 0.5,
    "RingThresh": [(ring, 80) for ring in range(1, 5)],
    "Background": 0,
    "Noise": None,
    "DarkFrames": 1,
    "DarkNoise": 0,
    "OmeBinSize": 4,
    "EtaBinSize": 4,
}


def make(base: Path) -> Path:
    """Make it in `base`: the layer folder, with the inputs of every command."""
    parameters = samples.write("demo", base, **CHANGES)
    draw = samples.Grains(7, 4, samples.FCC, 100, (-50, 50), 1e-3).draw()
    header = grain_list_header(4, 225, np.array(samples.FCC), 200)
    grains = GrainList(draw.matrices, draw.positions, draw.cells, header=header)
    write_grain_list(base / "GrainsSim.csv", grains)
    simulated = simulation.run(parameters, threads=1, folder=base).data
    archive = simulated.archive.rename(base / ARCHIVE)
    layers.run(Options(parameter_file=parameters, data_file=archive, result_folder=base, threads=1, convert=False))
    folder = base / "LayerNr_1"
    # Relative, so that every copy of the folder works on itself, and packed again: an update leaves the directory that
    # it replaces in the file, which a reader of a cut copy falls back to.
    set_dataset(folder / ARCHIVE, ANALYSIS + "ResultFolder", np.array([b"."]))
    Contents(folder / ARCHIVE).save()
    paramstest = folder / "paramstest.txt"
    paramstest.write_text(paramstest.read_text().replace(str(folder), "."))
    shutil.copy(base / "GrainsSim.csv", folder)
    with Archive(folder / ARCHIVE) as opened, h5py.File(folder / "raw.h5", "w") as raw:
        raw["exchange/data"] = np.stack(list(opened.frames))[:8]
        raw["exchange/dark"] = np.stack(list(opened.dark))
    _write_extras(folder)
    assert (folder / PARAMETERS).is_file()
    return folder


def _write_extras(folder: Path) -> None:
    """Files that only some parameters or programs ask for."""
    GRAIN_SET.write(folder / "StitchedGrains.csv", aggregate_grains([folder / "Grains.csv"]))
    with h5py.File(folder / "dark.h5", "w") as dark:
        dark["exchange/dark"] = np.zeros((2, 256, 256), np.uint16)
    tifffile.imwrite(folder / "mask.tif", np.eye(256, dtype=np.uint8))
    np.full(256 * 256 // 8, 255, np.uint8).tofile(folder / "BigDetectorMask.bin")
    (folder / "shifts.csv").write_text("0 0.1 0.2 0.01\n1 -0.1 0.1\n")
    rows = "".join(f"1 1 1 {100 - ring} 2.0 {ring}\n" for ring in range(1, 5))
    (folder / "intensities.csv").write_text(f"h k l intensity d ring\n{rows}")
    frames = {f"{i}_{part}": np.array([i + 1], np.uint16) for i in range(3) for part in ("row", "col", "data")}
    omegas = np.array([[i, i + 1.0] for i in range(3)])
    np.savez(folder / "raw.npz", shape=[256, 256], nframes=3, dtype="uint16", omega=omegas, **frames)
