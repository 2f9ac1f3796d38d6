"""CPU time of the search per start spot: ``python benchmarks/indexing.py [folder of a legacy run ...]``.

A folder needs hkls.csv, SpotsToIndex.csv, Spots.bin and paramstest.txt; nothing in it is changed. Synthetic samples of
gold with 3, 400 and 2000 grains follow.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from calibration import calibrate, cpu_seconds, report

from midas._ext.index.indexer import Indexer
from midas.experiment import crystal
from midas.experiment.orientation import matrices_from_quaternions
from midas.formats import hkls as hkl_format
from midas.formats.layer import Layer
from midas.formats.spots import SPOTS_BINARY, read_binary_spots
from midas.parameters import Parameters
from midas.stages import index_setup

GOLD = """
LatticeParameter 4.08 4.08 4.08 90 90 90
SpaceGroup 225
Wavelength 0.22291
Lsd 1000000
RhoD 204800
Rsample {r_sample}
Hbeam {h_beam}
StepSizePos 100
StepSizeOrient 0.2
MinEta 6
Completeness 0.8
"""


def gold(folder: Path, *, grains: int, r_sample: float, h_beam: float, seeds: int) -> Layer:
    """A layer folder with the spots of random grains, as the setup stage would leave it."""
    layer = Layer(folder)
    layer.output.mkdir()
    text = GOLD.format(r_sample=r_sample, h_beam=h_beam)
    parameters = Parameters.parse(text)
    hkls = hkl_format.LAYOUT.rounded(crystal.reflections(parameters))
    hkl_format.LAYOUT.write(layer.hkls, hkls)
    numbers, first = np.unique(hkls["ring"], return_index=True)
    lines = [f"RingNumbers {n:.0f}\nRingRadii {r}\n" for n, r in zip(numbers, hkls["ring_radius"][first], strict=True)]
    layer.paramstest.write_text(text + "".join(lines) + f"OutputFolder {layer.output}\n")
    rng = np.random.default_rng(0)
    rows = []
    theta, g = np.radians(hkls["theta"]), np.column_stack([hkls["g1"], hkls["g2"], hkls["g3"]])
    for _ in range(grains):
        q = rng.normal(size=4)
        u = matrices_from_quaternions(q / np.linalg.norm(q))
        turn = rng.uniform(0, 2 * np.pi)
        position = np.array([0, 0, rng.uniform(-0.5, 0.5) * h_beam])
        position[:2] = r_sample * np.sqrt(rng.uniform()) * np.array([np.cos(turn), np.sin(turn)])
        x, y, z = (g @ u.T).T
        v, h = np.linalg.norm(g, axis=1) * np.sin(theta), x * x + y * y
        for sign in (1, -1):
            ok = h > v * v
            e = sign * np.sqrt(h[ok] - v[ok] ** 2)
            omega = np.arctan2(y[ok] * v[ok] + x[ok] * e, y[ok] * e - x[ok] * v[ok])
            scale = hkls["ring_radius"][ok] / np.hypot(e, z[ok])
            px = position[0] * np.cos(omega) - position[1] * np.sin(omega)
            py = position[0] * np.sin(omega) + position[1] * np.cos(omega)
            shrink = 1 - px / parameters["Lsd"]
            yl, zl = e * scale * shrink + py, z[ok] * scale * shrink + position[2]
            eta = -np.degrees(np.arctan2(yl, zl))
            keep = np.minimum(abs(eta), 180 - abs(eta)) > parameters["MinEta"]
            table = [yl, zl, np.degrees(omega), np.full(len(yl), 100.0), 0 * yl, hkls["ring"][ok], eta,
                     hkls["two_theta"][ok], np.hypot(yl, zl) - hkls["ring_radius"][ok]]  # fmt: skip
            rows.append(np.array(table)[:, keep])
    spots = np.concatenate(rows, axis=1).T
    spots = spots[np.lexsort((spots[:, 2], spots[:, 5]))]
    spots[:, 4] = np.arange(len(spots)) + 1
    spots.astype("<f8").tofile(layer.spots_binary)
    candidates = spots[spots[:, SPOTS_BINARY.index("ring")] == 2, SPOTS_BINARY.index("spot_id")]
    chosen = np.sort(rng.choice(candidates, min(seeds, len(candidates)), replace=False))
    layer.spots_to_index.write_text("".join(f"{spot_id:.0f}\n" for spot_id in chosen))
    return layer


def copied(source: Path, folder: Path) -> Layer:
    """The inputs of a legacy run in a folder of their own."""
    for name in ("hkls.csv", "SpotsToIndex.csv", "Spots.bin", "paramstest.txt"):
        shutil.copy(source / name, folder / name)
    layer = Layer(folder)
    layer.output.mkdir()
    return layer


def measure(name: str, layer: Layer, calibration: float, *, most: int, **changes: object) -> None:
    """CPU milliseconds per start spot of the search alone, one thread."""
    p = Parameters.read(layer.paramstest, "paramstest").changed(**changes).for_stage("indexing")
    spots, hkls = read_binary_spots(layer.spots_binary, SPOTS_BINARY), hkl_format.LAYOUT.read(layer.hkls)
    rings = index_setup.rings_in_use(p, hkls)
    made: list[Indexer] = []
    setup = cpu_seconds(lambda: made.append(index_setup.make_indexer(layer, p, rings, spots, hkls)), 1)
    ids = np.loadtxt(layer.spots_to_index, dtype=np.int64, ndmin=1)[:most]
    found: list[int] = []
    seconds = cpu_seconds(lambda: found.append(int((made[0].search(ids - 1)[0]["matched"] > 0).sum())), 3)
    report(f"{name}: tables of {len(spots)} spots", 1e3 * setup, "ms", 1e3 * calibration)
    limit = "(limit 50)" if changes else "(limit 3)"
    report(f"{name}: start spot ({found[0]} of {len(ids)} found)", 1e3 * seconds / len(ids), "ms", 1e3 * calibration,
           limit)  # fmt: skip


def main(folders: list[str]) -> None:
    logging.disable(logging.WARNING)
    calibration = calibrate()
    report("calibration", 1e3 * calibration, "ms")
    full = {"UseFriedelPairs": 0}
    with tempfile.TemporaryDirectory() as work:
        for number, source in enumerate(map(Path, folders)):
            folder = Path(work) / str(number)
            folder.mkdir()
            layer = copied(source, folder)
            measure(f"{source.name} pairs", layer, calibration, most=400)
            measure(f"{source.name} full", layer, calibration, most=18, **full)
        for name, arguments in {
            "gold, 3 grains": {"grains": 3, "r_sample": 2000.0, "h_beam": 2000.0, "seeds": 18},
            "gold, 400 grains": {"grains": 400, "r_sample": 1000.0, "h_beam": 200.0, "seeds": 60},
            "gold, 2000 grains": {"grains": 2000, "r_sample": 1000.0, "h_beam": 200.0, "seeds": 60},
        }.items():
            folder = Path(work) / name.replace(" ", "")
            folder.mkdir()
            layer = gold(folder, **arguments)
            measure(f"{name} pairs", layer, calibration, most=60)
            measure(f"{name} full", layer, calibration, most=6, **full)


if __name__ == "__main__":
    main(sys.argv[1:])
