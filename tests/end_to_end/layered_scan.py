"""The data set of five layers as a beamline would have it: raw GE files, one per layer, and one parameter file.

See docs/theory/simulation.md#layers.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from midas import simulation
from midas.archive import Archive
from midas.formats.layer import Layer
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.results.matching.compare import Comparison, compare
from midas.simulation import samples
from midas.simulation.stack import DS6, Stack

HEADER = 8192


@dataclass(frozen=True)
class LayeredScan:
    """Where everything is: the parameter file of the analysis, and the true grains of each layer."""

    folder: Path
    parameters: Path
    truths: tuple[Path, ...]
    step: float


def write(stack: Stack, folder: Path, **changes: samples.Value) -> LayeredScan:
    """Simulate every layer and write its frames as ``raw/stack_<number>.ge3``."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    names = {"RawFolder": raw, "FileStem": "stack", "Ext": ".ge3", "Padding": 6, "StartFileNrFirstLayer": 1}
    values = {**samples.COMMON, **DS6, **changes}
    first = float(values["OmegaStart"])
    frames = round((float(values["OmegaEnd"]) - first) / float(values["OmegaStep"]))
    scan = {"WriteLegacyBins": 0, "HeadSize": HEADER, "StartNr": 1, "EndNr": frames, "OmegaFirstFile": first}
    truths = []
    for number in range(stack.layers):
        simulated = folder / f"simulated_{number + 1}"
        parameters = samples.write_sample(stack.sample(number, {**DS6, **names, **scan}), simulated, **changes)
        archive = simulation.run(parameters, threads=2, folder=simulated).data.archive
        assert archive is not None
        with Archive(archive) as frames_of, open(raw / f"stack_{number + 1:06d}.ge3", "wb") as stream:
            stream.write(bytes(HEADER))
            for frame in frames_of.frames:
                np.ascontiguousarray(frame, "<u2").tofile(stream)
        truths.append(simulated / samples.GRAINS_FILE)
    return LayeredScan(folder, parameters, tuple(truths), float(values["OmegaStep"]))


def analyse(scan: LayeredScan, results: Path) -> tuple[Path, ...]:
    """Convert and analyse every layer; their folders."""
    options = Options(
        parameter_file=scan.parameters, result_folder=results, threads=2, first_layer=1, last_layer=len(scan.truths)
    )
    layers.run(options)
    return tuple(results / f"LayerNr_{number}" for number in range(1, len(scan.truths) + 1))


def comparisons(scan: LayeredScan, folders: tuple[Path, ...]) -> list[Comparison]:
    """Each layer against its truth."""
    return [
        compare(truth, Layer(folder).grains, omega_step=scan.step, turn_positions=True)
        for truth, folder in zip(scan.truths, folders, strict=True)
    ]
