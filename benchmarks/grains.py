"""Timing of the grain stage with the legacy rule: 18,000 seeds, 20 to a grain, 120 matched spots each.

The legacy program takes 25.6 s of one core for them.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from calibration import calibrate, cpu_seconds, report, wall_seconds

from midas.experiment.orientation import matrices_from_quaternions
from midas.formats.layer import Layer
from midas.formats.refined import FIT_BEST, FIT_BEST_BYTES, ORIENT_POS_FIT, PROCESS_KEY_BYTES, RefinedSeeds
from midas.formats.spots import EXTRA_INFO
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages import grains

PARAMETERS = "GrainMerging legacy\nMinNrSpots 3\nSpaceGroup 225\n"
PARAMETERS += "LatticeParameter 4.08 4.08 4.08 90 90 90\nWavelength 0.22291\nLsd 1000000\n"
SPACING, WAVELENGTH, LSD = 2.355589, 0.22291, 1e6


def solutions(seeds: int, per_grain: int, spots: int) -> tuple[RefinedSeeds, Table]:
    """Grains that own their spots, and solutions that differ by a few hundredths of a degree and a few µm."""
    rng = np.random.default_rng(1)
    count = seeds // per_grain
    grain = rng.permutation(np.repeat(np.arange(count), per_grain))
    n = len(grain)
    own = rng.permutation(count * spots).reshape(count, spots) + 1
    seen = np.zeros(count, int)
    ids = np.empty(n, np.int32)
    for row, g in enumerate(grain):
        ids[row] = own[g, seen[g]]
        seen[g] += 1
    true = rng.normal(size=(count, 4))
    q = (true / np.linalg.norm(true, axis=1, keepdims=True))[grain] + rng.normal(scale=1e-4, size=(n, 4))
    fits = np.zeros(n, ORIENT_POS_FIT)
    for name in ("id", "id_position", "id_cell", "id_errors"):
        fits[name] = ids
    fits["orientation"] = matrices_from_quaternions(q / np.linalg.norm(q, axis=1, keepdims=True)).reshape(n, 9)
    fits["position"] = rng.uniform(-500, 500, (count, 3))[grain] + rng.normal(size=(n, 3))
    fits["cell"] = [4.08, 4.08, 4.08, 90, 90, 90]
    errors = rng.uniform(0.01, 0.1, (n, 5)) + [0, 0, 0, 100, 0.9]
    for i, name in enumerate(("diff_pos", "diff_ome", "diff_angle", "grain_radius", "completeness")):
        fits[name] = errors[:, i]
    matched = own[grain].astype(np.int32)
    best = np.zeros(n * spots, FIT_BEST)
    best["spot_id"] = matched.ravel()
    best["y_centred"] = LSD * np.tan(2 * np.arcsin(WAVELENGTH / 2 / SPACING)) * rng.normal(1, 1e-4, n * spots)
    best["g_observed"] = rng.normal(size=(n * spots, 3))
    key = np.stack([ids, np.full(n, spots)], axis=1).astype(np.int32)
    columns = dict.fromkeys(EXTRA_INFO.names, np.ones(count * spots))
    columns["spot_id"] = np.arange(1.0, count * spots + 1)
    table = Table.from_columns(EXTRA_INFO.names, columns)
    return RefinedSeeds(key, fits, np.arange(n + 1) * spots, matched.ravel(), best), table


def write(layer: Layer, refined: RefinedSeeds, spots: Table) -> None:
    """The files of the earlier stages."""
    for folder in (layer.output, layer.results):
        folder.mkdir(parents=True)
    EXTRA_INFO.write(layer.extra_info, spots)
    layer.ids_hash.write_text(f"1 1 {len(spots) + 1} {SPACING}\n")
    layer.spots_to_index.write_text("".join(f"{i}\n" for i in refined.key[:, 0]))
    refined.key.tofile(layer.key)
    refined.orient_pos_fit.tofile(layer.orient_pos_fit)
    assert refined.fit_best is not None
    with open(layer.process_key, "wb") as ids, open(layer.fit_best, "wb") as best:
        for row, (a, b) in enumerate(zip(refined.offsets[:-1], refined.offsets[1:], strict=True)):
            ids.seek(row * PROCESS_KEY_BYTES)
            ids.write(refined.spot_ids[a:b].tobytes())
            best.seek(row * FIT_BEST_BYTES)
            best.write(refined.fit_best[a:b].tobytes())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seeds", type=int, default=18_000)
    options.add_argument("--per-grain", type=int, default=20)
    options.add_argument("--spots", type=int, default=120)
    options.add_argument("--threads", type=int, default=1)
    values = options.parse_args()
    calibration = calibrate()
    parameters = Parameters.parse(PARAMETERS)
    refined, spots = solutions(values.seeds, values.per_grain, values.spots)
    with tempfile.TemporaryDirectory() as folder:
        layer = Layer(Path(folder) / "layer")
        write(layer, refined, spots)

        def from_files() -> None:
            grains.run(layer, parameters, threads=values.threads)

        def from_memory() -> None:
            grains.run(layer, parameters, threads=values.threads, refined=refined, extra_info=spots)

        report("grains, from files, CPU", cpu_seconds(from_files), "s", calibration, "limit 1 s")
        report("grains, from files, wall", wall_seconds(from_files), "s", calibration, "limit 1 s")
        report("grains, in memory, CPU", cpu_seconds(from_memory), "s", calibration)
        print(grains.run(layer, parameters, threads=values.threads).summary)


if __name__ == "__main__":
    main()
