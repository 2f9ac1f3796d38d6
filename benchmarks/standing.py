"""The standing data sets: CPU seconds of every step, memory, accuracy, and how they grow with the grains.

``python benchmarks/standing.py [SET ...]``: crowd-N is N grains on 720 frames of 2048 x 2048 pixels with background and
Poisson noise; lowsym 25 trigonal grains on half a turn; big 20 grains on nearly empty frames of 4096 x 4096 pixels; au3
and ds1 golden runs of the legacy programs (where MIDAS_SHARED says where they are). ``--page FILE`` writes the table of
docs/performance.md; ``--python OTHER`` measures the version that another interpreter has installed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import resource
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from calibration import calibrate, report
from crowd import listen

Result = dict[str, Any]

CROWDS = (100, 300, 1000, 3000)
NAMES = (*(f"crowd-{number}" for number in CROWDS), "lowsym", "big", "ds1", "au3")
GOLDEN = ("ds1", "au3")
#: rows of the table: a title, and the steps that it adds
ROWS = {
    "archive, reflections": ("hkls",),
    "peak search": ("peaksearch",),
    "merge, radius, setup": ("merge_overlaps", "calc_radius", "fit_setup"),
    "binning": ("binning",),
    "indexing": ("indexing", "indexing_pass2", "indexing_pass3"),
    "refining": ("refining", "refining_pass2", "refining_pass3"),
    "grains": ("process_grains", "process_grains_pass2", "process_grains_pass3", "grain_sigma"),
    "consolidation": ("consolidation",),
}


# ---------------------------------------------------------------- the sets


def _drawn(number: int, values: dict[str, Any], folder: Path, threads: int) -> None:
    """Frames of scattered grains of nickel."""
    from crystal_sets.grains import scattered
    from crystal_sets.sets import CROWDED, SETS

    what = replace(SETS["crowd"], truth=partial(scattered, 221, number), values={**CROWDED, **values})
    what.make(folder, threads=threads)


def _lowsym(folder: Path, threads: int) -> None:
    from midas import simulation
    from midas.simulation import samples

    sample = samples.SAMPLES["ds3"]
    parameter_file = samples.write_sample(sample, folder, WriteAnalysisZip=1)
    simulation.run(parameter_file, threads=threads, folder=folder)
    parameter_file.rename(folder / "Parameters.txt")
    (folder / sample.truth_file).rename(folder / "GrainsSim.csv")


def _golden(name: str, folder: Path, threads: int) -> None:
    """The archive of a legacy run, its parameters and its truth, and how long the legacy programs took."""
    shared = os.environ.get("MIDAS_SHARED")
    if not shared:
        raise SystemExit(f"{name} is golden data: MIDAS_SHARED must say where it is")
    wanted = ("Parameters.txt", "GrainsSim.csv", f"{name}.MIDAS.zip", "legacy_seconds.json")
    with tarfile.open(Path(shared) / "golden" / f"{name}.tar.xz") as archive:
        for member in archive:
            if Path(member.name).name in wanted:
                (folder / Path(member.name).name).write_bytes(archive.extractfile(member).read())  # type: ignore[union-attr]


def _pixels(side: int) -> dict[str, Any]:
    return {"NrPixels": side, "px": 204800 / side, "BC": (side / 2, side / 2)}


def recipe(name: str) -> Callable[[Path, int], None]:
    """What makes a set in a folder."""
    if name in GOLDEN:
        return partial(_golden, name)
    if name == "lowsym":
        return _lowsym
    if name == "big":
        return partial(_drawn, 20, {**_pixels(4096), "Background": 0})
    return partial(_drawn, int(name.partition("-")[2]), _pixels(2048))


# ---------------------------------------------------------------- one run, in a process of its own


def run(folder: Path, threads: int) -> Result:
    """Analyse a set from its archive: CPU seconds of the steps, memory, grains."""
    from midas.pipeline import layers
    from midas.pipeline.options import Options

    archive = next(folder.glob("*.MIDAS.zip"))
    clock = listen()
    wall, cpu = time.perf_counter(), time.process_time()
    files = {"parameter_file": folder / "Parameters.txt", "data_file": archive}
    with tempfile.TemporaryDirectory(dir=folder) as results:
        layer = layers.run(
            Options(**files, result_folder=Path(results), threads=threads, convert=False, per_spot_groups=0)
        ).data[0].layer  # fmt: skip
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        steps: dict[str, float] = {}
        counts = {}
        for text, seconds in clock.steps:
            name, _, said = text.partition(":")
            steps[name] = steps.get(name, 0.0) + seconds
            counts[name] = said
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        return {"steps": steps, "counts": counts, "cpu": cpu, "wall": wall, "memory": memory, **_judged(folder, layer)}


def _judged(folder: Path, layer: Any) -> Result:
    from midas.results.matching.compare import compare, tensor_error

    step = float(re.search(r"^OmegaStep\s+(\S+)", (folder / "Parameters.txt").read_text(), re.MULTILINE)[1])  # type: ignore[index]
    found = compare(folder / "GrainsSim.csv", layer.grains, omega_step=step, turn_positions=True)
    place = [float(value) for value in np.percentile(found.distance, (50, 90))] if len(found.distance) else []
    strain = float(1e6 * tensor_error(found.lattice_strain)[0]) if len(found.distance) else None
    return {
        "true": found.true_count, "found": found.recovered, "spurious": found.spurious,
        "place": place, "strain": strain,
    }  # fmt: skip


def reading(folder: Path) -> float:
    """CPU seconds that reading and decoding all frames takes."""
    from midas.archive import Archive

    begun = time.process_time()
    with Archive(next(folder.glob("*.MIDAS.zip"))) as archive:
        for number in range(len(archive.frames)):
            archive.frames[number]
    return time.process_time() - begun


# ---------------------------------------------------------------- the table


def measured(name: str, folder: Path, values: argparse.Namespace) -> Result:
    """The median of some runs, and the calibration beside them."""
    if not (folder / "GrainsSim.csv").exists():
        folder.mkdir(parents=True, exist_ok=True)
        recipe(name)(folder, 2)
    command = [values.python, __file__, "--child", str(folder), "--threads", str(values.threads)]
    runs, calibrations = [], []
    for _ in range(values.repeats):
        calibrations.append(calibrate())
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            raise SystemExit(f"{name}: {result.stderr.strip()}")
        runs.append(json.loads(result.stdout.splitlines()[-1]))
    median = dict(runs[0])
    for key in ("cpu", "wall", "memory", "reading"):
        median[key] = statistics.median(one[key] for one in runs)
    names = {step for one in runs for step in one["steps"]}
    median["steps"] = {step: statistics.median(one["steps"].get(step, 0.0) for one in runs) for step in names}
    median["calibration"] = statistics.median(calibrations)
    if (folder / "legacy_seconds.json").exists():
        legacy = json.loads((folder / "legacy_seconds.json").read_text())
        median["legacy"] = sum(seconds for stage, seconds in legacy.items() if stage != "simulate")
    return median


#: further rows: a title, and what it says of a run
_OF_RUNS: dict[str, Callable[[Result], str]] = {
    "the same, × calibration": lambda one: f"{one['cpu'] / one['calibration']:.0f}",
    "reading and decoding alone": lambda one: f"{one['reading']:.2f}",
    "wall seconds": lambda one: f"{one['wall']:.1f}",
    "legacy programs, wall": lambda one: f"{one['legacy']:.1f}" if "legacy" in one else "",
    "memory, MiB": lambda one: f"{one['memory']:.0f}",
    "found, spurious": lambda one: f"{one['found']} of {one['true']}, {one['spurious']}",
    "position, median / p90, µm": lambda one: " / ".join(f"{value:.2f}" for value in one["place"]),
    "strain, rms, 1e-6": lambda one: "" if one["strain"] is None else f"{one['strain']:.1f}",
}


def table(results: dict[str, Result]) -> str:
    """Steps times sets: CPU seconds, and the exponents of their growth with the grains."""
    crowds = [name for name in results if name.startswith("crowd-")]
    grown = len(crowds) > 1
    lines = [f"| CPU seconds | {' | '.join(results)} |{' growth |' if grown else ''}"]
    lines.append("|---" * (len(results) + 1 + grown) + "|")
    for title, steps in ROWS.items():
        seconds = {name: sum(one["steps"].get(step, 0.0) for step in steps) for name, one in results.items()}
        lines.append(_row(title, [f"{value:.2f}" for value in seconds.values()], _growth(crowds, seconds)))
    whole = {name: one["cpu"] for name, one in results.items()}
    rest = {name: one["cpu"] - sum(one["steps"].values()) for name, one in results.items()}
    lines.append(_row("report and the rest", [f"{value:.2f}" for value in rest.values()], _growth(crowds, rest)))
    lines.append(_row("everything", [f"{value:.1f}" for value in whole.values()], _growth(crowds, whole)))
    for title, cell in _OF_RUNS.items():
        lines.append(_row(title, [cell(one) for one in results.values()], "", grown))
    return "\n".join(lines)


def _row(title: str, cells: list[str], growth: str, column: bool = False) -> str:
    ends = [growth] if growth or column else []
    return f"| {' | '.join([title, *cells, *ends])} |"


def _growth(crowds: list[str], seconds: dict[str, float]) -> str:
    """The exponent with the number of grains, between the first crowd and the last one."""
    if len(crowds) < 2:
        return ""
    first, last = (int(name.partition("-")[2]) for name in (crowds[0], crowds[-1]))
    low, high = seconds[crowds[0]], seconds[crowds[-1]]
    return f"{np.log(high / low) / np.log(last / first):.2f}" if min(low, high) > 0 else "-"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("sets", nargs="*", metavar="SET", help=f"of {', '.join(NAMES)}; by default all")
    options.add_argument("--folder", type=Path, help="where the sets are made, and found again; by default nowhere")
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--repeats", type=int, default=3, help="runs of each set, of which the median counts")
    options.add_argument("--python", default=sys.executable, help="of the version that is measured")
    options.add_argument("--page", type=Path, help="a page between whose marks the table is written")
    options.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    values = options.parse_args()
    if values.child is not None:
        result = run(values.child, values.threads)
        print(json.dumps({**result, "reading": reading(values.child)}))
        return
    logging.disable(logging.WARNING)
    results: dict[str, Result] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name in values.sets or NAMES:
            results[name] = measured(name, (values.folder or Path(scratch)) / name, values)
            print(f"{name}: {results[name]['cpu']:.1f} s, {results[name]['counts']}", file=sys.stderr, flush=True)
    print(text := table(results))
    report("all sets, CPU", sum(one["cpu"] for one in results.values()), "s", calibrate())
    if values.page is not None:
        page = values.page.read_text(encoding="utf-8")
        changed = re.sub(
            r"(<!-- table -->\n).*?(\n<!-- end -->)", lambda m: f"{m[1]}{text}{m[2]}", page, flags=re.DOTALL
        )
        values.page.write_text(changed, encoding="utf-8")


if __name__ == "__main__":
    main()
