"""``ff-midas demo``: simulate a small sample, analyse it, and compare what was found with the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from midas import simulation
from midas.formats.layer import Layer
from midas.pipeline import layers
from midas.pipeline.options import Options
from midas.results.matching.compare import Comparison, compare
from midas.runtime.errors import UsageError
from midas.runtime.parallel import SERIAL
from midas.runtime.result import StageResult
from midas.simulation import samples

_DEFAULT_FOLDER = "midas_demo"


def run(arguments: Sequence[str], threads: int, *, report: bool = False) -> StageResult[Comparison]:
    """The demonstration; ``arguments`` may name its folder and another sample of `midas.simulation.samples`.

    Raises
    ------
    UsageError
        for an unknown sample
    """
    folder = Path(arguments[0] if arguments else _DEFAULT_FOLDER).absolute()
    name = arguments[1] if len(arguments) > 1 else "demo"
    if name not in samples.SAMPLES:
        raise UsageError(f"must be one of {', '.join(samples.SAMPLES)}", key="sample", value=name)
    sample = samples.SAMPLES[name]
    print(f"{name}: {sample.purpose}")
    parameter_file = samples.write(name, folder, WriteAnalysisZip=1)
    simulated = simulation.run(parameter_file, threads=threads, folder=folder).data
    print(f"{len(simulated.grains)} grains, {len(simulated.spots)} spots: {simulated.archive}")
    result = layers.run(
        Options(
            parameter_file=parameter_file,
            data_file=simulated.archive,
            result_folder=folder,
            threads=threads,
            convert=False,
            report=report,
        ),
        comm=SERIAL,
    )
    step = float(sample.parameters["OmegaStep"])
    found = Layer(folder / "LayerNr_1").grains
    comparison = compare(folder / sample.truth_file, found, omega_step=step, turn_positions=True)
    print(comparison.grain_table())
    print(comparison.table())
    return StageResult("demo", result.summary, comparison)
