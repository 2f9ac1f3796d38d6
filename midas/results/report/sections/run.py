"""How the layer came about: program, inputs, times, parameters."""

from __future__ import annotations

from collections.abc import Iterator

from midas._version import __version__
from midas.parameters.table import spellings
from midas.results.report.section import Section
from midas.results.report.source import Source
from midas.runtime.provenance import to_be_made_again


def section(source: Source) -> Section:
    """Facts first, the long tables folded.

    A page that is to be made again has nothing of the machine that made it: no times, no number of threads.
    """
    record = source.record
    steps = () if record is None else record.steps
    return Section(
        "run",
        "The run",
        template="run.html.j2",
        values={
            "facts": list(_facts(source)),
            "steps": [
                {
                    "name": step.name,
                    "seconds": None if to_be_made_again() else step.seconds,
                    "found": ", ".join(f"{count} {label}" for label, count in step.counts.items()),
                }
                for step in steps
            ],
            "inputs": () if record is None else record.inputs,
            "parameters": list(_parameters(source)),
        },
    )


def _facts(source: Source) -> Iterator[tuple[str, str]]:
    results, record = source.results, source.record
    if record is None:
        yield "Program", f"midas {__version__} made this page; the run left no record"
    else:
        yield "Program", f"{record.program} {record.version}"
        yield "Date", record.date
        yield "Command line", record.command_line
        if not to_be_made_again():
            parallel = f"{record.threads} thread{'s' * (record.threads != 1)}"
            yield "Ran on", parallel + (f" in each of {record.ranks} processes" if record.ranks > 1 else "")
            yield "Time", f"{sum(step.seconds for step in record.steps):.1f} s"
        yield "Hash of the parameters", record.parameter_hash
    cell = " ".join(f"{x:g}" for x in results.cell)
    yield "Crystal", f"space group {results.space_group}, cell {cell} (Å, °)"
    if results.archive is not None:
        yield "Frames", str(results.archive)


def _parameters(source: Source) -> Iterator[tuple[str, str, str]]:
    origins = {} if source.record is None else dict(source.record.origins)
    spelled = spellings("paramstest")
    values = {spelled[key].name if key in spelled else key: value for key, value in source.results.parameters.items()}
    for key in sorted({*values, *origins}, key=lambda key: (key.casefold(), key)):
        value = values.get(key, "")
        text = " ".join(f"{x:g}" if isinstance(x, float) else str(x) for x in _listed(value))
        if text or key in origins:
            yield key, text, origins.get(key, "")


def _listed(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)
