"""What several benchmarks measure on: a large synthetic set of merged peaks, and the scan of three gold grains."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from midas import simulation
from midas.archive import ArchiveWriter
from midas.formats import hkls, radius
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.simulation import samples

FRAMES = 3600
THETAS = (2.71, 3.13, 4.43, 5.20, 5.43)
LSD = 1e6

PARAMETERS = """
Lsd 1000000
BC 1023.4 1022.7
px 200
RhoD 204800
tx 0.2
ty 0.3
tz -0.25
p0 1e-4
p1 -2e-4
p2 6e-4
p3 37
Wedge 0.3
Wavelength 0.22291
LatticeConstant 4.08 4.08 4.08 90 90 90
SpaceGroup 225
OmegaStart -180
OmegaStep 0.1
tInt 0.3
tGap 0.15
OmegaRange -180 180
BoxSize -1000000 1000000 -1000000 1000000
MinEta 6
OverAllRingToIndex 2
Rsample 1000
Hbeam 1000
Completeness 0.8
"""


def gold_archive(folder: Path, frames: int) -> tuple[Path, Path]:
    """The parameter file and the archive of a full turn of three gold grains; their hkls.csv is beside them."""
    parameter_file = samples.write("gold", folder, WriteAnalysisZip=1, OmegaStep=-360 / frames)
    return parameter_file, simulation.run(parameter_file, threads=2, folder=folder).data.archive


def make_layer(folder: Path, spots: int) -> tuple[Layer, Parameters]:
    """A layer with an archive (without frames to speak of), hkls.csv and a Radius file of that many spots."""
    random = np.random.default_rng(1)
    text = PARAMETERS + "".join(f"RingThresh {ring} 10\n" for ring in range(1, len(THETAS) + 1))
    parameters = Parameters.parse(text, "benchmark")
    layer = Layer(folder, folder / "scan.MIDAS.zip")
    empty = np.zeros((8, 8), np.uint16)
    with ArchiveWriter(layer.archive, (FRAMES, 8, 8), np.uint16) as writer:
        writer.add_frames("exchange/data", (FRAMES, 8, 8), (empty for _ in range(FRAMES)))
        writer.add_parameters(parameters)
    rings = random.integers(0, len(THETAS), spots)
    theta, eta = np.array(THETAS)[rings], random.uniform(-180, 180, spots)
    distance = LSD * np.tan(np.radians(2 * theta)) / 200 + random.normal(0, 0.5, spots)
    columns = {name: np.zeros(spots) for name in radius.LAYOUT.names}
    columns |= {"spot_id": np.arange(1.0, spots + 1), "ring": rings + 1.0, "frames": np.ones(spots)}
    columns |= {"omega_recorded": np.sort(random.integers(0, FRAMES, spots)) * 0.1 - 180}
    columns |= {
        "y_recorded": 1023.4 + distance * np.sin(np.radians(eta)),
        "z_recorded": 1022.7 + distance * np.cos(np.radians(eta)),
    }
    columns |= {name: random.uniform(20, 60000, spots) for name in ("grain_radius", "intensity", "raw_sum")}
    radius.LAYOUT.write(layer.radius(FRAMES), Table.from_columns(radius.LAYOUT.names, columns))
    reflections = {name: np.zeros(len(THETAS)) for name in hkls.LAYOUT.names}
    reflections |= {"ring": np.arange(1.0, len(THETAS) + 1), "theta": np.array(THETAS)}
    reflections |= {"two_theta": 2 * np.array(THETAS), "ring_radius": LSD * np.tan(np.radians(2 * np.array(THETAS)))}
    reflections |= {"d_spacing": 0.22291 / (2 * np.sin(np.radians(THETAS)))}
    hkls.LAYOUT.write(layer.hkls, Table.from_columns(hkls.LAYOUT.names, reflections))
    return layer, parameters
