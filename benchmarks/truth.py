"""Samples with known truth through simulation and analysis, as one table: ``python benchmarks/truth.py [SAMPLE ...]``.

The table is that of docs/accuracy.md#samples-with-known-truth; two versions of the suite are compared by two of them.
``--draws N`` takes N other draws of the grains of each sample together, as docs/accuracy.md#column-by-column does.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from calibration import calibrate, report

from midas import simulation
from midas.formats.layer import Layer
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.results.matching.compare import Comparison, compare, spread, tensor_error
from midas.simulation import samples
from midas.simulation.samples import SAMPLES, Grains, Sample

#: seed of the first other draw
_FIRST_DRAW = 9000
NAMES = ("gold", "ds1", "ds1n", "ds2", "ds3", "ds4n", "ds4p", "ds5b")
_HEAD = (
    "sample",
    "found of true, spurious",
    "misorientation, median / max (°)",
    "position, median / p90 / max (µm)",
    "lattice strain, rms / max (1e-6)",
    "eFab, eKen, rms (1e-6)",
    "smallest confidence",
)


def analyse(sample: Sample, folder: Path, threads: int, keys: dict[str, str]) -> Comparison:
    """Simulate a sample, run the pipeline on it and compare."""
    parameter_file = samples.write_sample(sample, folder, WriteAnalysisZip=1, WriteLegacyBins=0, **keys)
    archive = simulation.run(parameter_file, threads=threads, folder=folder).data.archive
    files = {"parameter_file": parameter_file, "data_file": archive, "result_folder": folder}
    layers.run(Options(**files, threads=threads, convert=False))
    step = float(sample.parameters["OmegaStep"])
    found = Layer(folder / "LayerNr_1").grains
    return compare(folder / sample.truth_file, found, omega_step=step, turn_positions=True)


def draws(sample: Sample, count: int) -> list[Sample]:
    """The sample itself for a count of 0, otherwise so many others with grains of the same kind."""
    grains = getattr(sample.draw, "__self__", None)
    if count and not isinstance(grains, Grains):
        raise SystemExit("--draws needs samples of random grains: ds1 ds1n ds2 ds3 ds4n ds4p")
    others = (replace(grains, seed=_FIRST_DRAW + number) for number in range(count))
    return [replace(sample, draw=other.draw) for other in others] or [sample]


def together(parts: Sequence[Comparison]) -> Comparison:
    """Comparisons of several samples as one."""
    first = np.cumsum([0, *(part.found_count for part in parts)])
    parts = [replace(part, found_row=part.found_row + at) for part, at in zip(parts, first, strict=False)]
    counts = (sum(getattr(part, name) for part in parts) for name in ("true_count", "found_count"))
    names = list(Comparison.__dataclass_fields__)[2:]
    return Comparison(*counts, *(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def row(name: str, found: Comparison) -> str:
    """A line of the table."""
    angle, place = spread(found.misorientation), spread(found.distance)
    rms, largest = (1e6 * value for value in tensor_error(found.lattice_strain))
    tensors = (tensor for tensor in (found.fable, found.kenesei) if tensor is not None)
    errors = ", ".join(f"{1e6 * tensor_error(tensor)[0]:.1f}" for tensor in tensors)
    cells = (
        name,
        f"{found.recovered} of {found.true_count}, {found.spurious}",
        f"{angle[0]:.4f} / {angle[2]:.4f}",
        f"{place[0]:.3f} / {place[1]:.3f} / {place[2]:.3f}",
        f"{rms:.2f} / {largest:.1f}",
        errors,
        f"{found.confidence.min(initial=1.0):.3f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("samples", nargs="*", metavar="SAMPLE", help=f"by default {' '.join(NAMES)}")
    options.add_argument("--key", nargs=2, action="append", default=[], metavar=("KEY", "VALUE"), help="parameter")
    options.add_argument("--draws", type=int, default=0, metavar="N", help="other draws of the grains, as one line")
    options.add_argument("--threads", type=int, default=1)
    values = options.parse_args()
    names = values.samples or list(NAMES)
    if unknown := set(names) - set(SAMPLES):
        options.error(f"no such sample: {', '.join(sorted(unknown))}")
    logging.disable(logging.WARNING)
    calibration, begun = calibrate(), time.process_time()
    print(f"| {' | '.join(_HEAD)} |\n|{'---|' * len(_HEAD)}")
    for name in names:
        parts = []
        for sample in draws(SAMPLES[name], values.draws):
            with tempfile.TemporaryDirectory() as folder:
                parts.append(analyse(sample, Path(folder), values.threads, dict(values.key)))
        found = together(parts)
        print(row(name, found), flush=True)
        if name == "ds5b":
            print(row("ds5b, 1-16", found.take(range(16))), flush=True)
    report("all, CPU", time.process_time() - begun, "s", calibration)


if __name__ == "__main__":
    main()
