"""The run record of a layer, kept as the layer runs (docs/formats.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from midas._version import __version__
from midas.archive import Archive
from midas.formats.layer import Layer
from midas.formats.ledger import Entry
from midas.formats.run_record import Input, RunRecord, StepRecord, read_run_record
from midas.parameters import ANALYSIS, Parameters
from midas.parameters.readers import READERS, read_from_archive
from midas.parameters.table import KEYS, PATH
from midas.pipeline.options import Options
from midas.pipeline.plan import LayerPlan
from midas.runtime import provenance
from midas.runtime.errors import MidasError

if TYPE_CHECKING:
    from midas.pipeline.steps import Steps

#: the program that writes records
_PROGRAM = "ff-midas"
#: members of an archive that the pipeline writes after the conversion
_OWN_MEMBERS = (f"{ANALYSIS}ResultFolder", "analysis/provenance")
#: parts of the suite that a run of the pipeline consists of
_PARTS = [
    reader for name, reader in READERS.items() if reader.of_archive or name in ("binning", "indexing", "refinement")
]
#: options that replace a key and stand in no file
_OF_OPTIONS = {"measure_spots": "MeasureSpots", "legacy_bins": "WriteLegacyBins", "refine_geometry": "RefineGeometry"}


def earlier(folder: Path) -> RunRecord | None:
    """The record of the run before, which this one replaces; a damaged one counts for nothing."""
    try:
        return read_run_record(Layer(folder).run_record)
    except MidasError:
        return None


def started(
    options: Options,
    plan: LayerPlan,
    layer: Layer,
    parameters: Parameters,
    before: RunRecord | None,
    ranks: int = 1,
    kept: Mapping[str, Entry] | None = None,
) -> RunRecord:
    """The record of a run that has its archive and has run no stage yet.

    Parameters
    ----------
    parameters : that count, of the archive or of the user's file
    before : record of the run before, which holds as far as this run goes on from its archive
    kept : steps that are left as that run has done them
    """
    inputs = list(_inputs(options, plan, layer))
    given = dict(parameters.as_given())
    given |= {key: getattr(options, name) for name, key in _OF_OPTIONS.items() if getattr(options, name) is not None}
    record = _new(given, _origins(options, plan, given), options.thread_count, ranks)
    record = _continued(record, inputs, before, kept=() if options.convert else _before_grains(options))
    entries = sorted((kept or {}).values(), key=lambda entry: entry.number)
    mine = [StepRecord(entry.step, entry.seconds, entry.counts, entry.date) for entry in entries]
    return record.changed(steps=(*(step for step in record.steps if step.name not in (kept or {})), *mine))


def again(layer: Layer, parameters: Parameters, threads: int) -> RunRecord:
    """The record of a layer whose merging runs once more: what is said of the run before stays."""
    before = earlier(layer.folder)
    given = dict(parameters.as_given())
    record = _new(given, _origins(None, None, given) if before is None else before.origins, threads)
    inputs = [] if layer.archive is None else [archive_input(layer.archive)]
    return _continued(record, inputs, before, kept=None)


def _new(given: Mapping[str, object], origins: Mapping[str, str], threads: int, ranks: int = 1) -> RunRecord:
    """A record that begins now."""
    said = provenance.now(), provenance.command_line()
    return RunRecord(
        _PROGRAM, __version__, *said, _parameter_hash(given), threads=threads, ranks=ranks, origins=origins
    )


def archive_input(path: Path) -> Input:
    """An archive as an input: its frames and parameters, whatever the pipeline has added to it."""
    with Archive(path) as archive:
        checksums = {n: crc for n, crc in archive.checksums().items() if not n.startswith(_OWN_MEMBERS)}
    return Input("archive", **asdict(provenance.of_members(path, checksums)))


def with_steps(record: RunRecord, steps: Steps, warnings: Iterable[str], failure: str = "") -> RunRecord:
    """The record with the steps that have run so far, behind those of earlier runs."""
    mine = [StepRecord(name, round(s, 3), steps.found.get(name, {}), record.date) for name, s in steps.seconds.items()]
    names = {step.name for step in mine}
    kept = [step for step in record.steps if step.name not in names]
    return record.changed(steps=(*kept, *mine), warnings=tuple(dict.fromkeys(warnings)), failure=failure)


def _continued(
    record: RunRecord, inputs: list[Input], before: RunRecord | None, kept: tuple[str, ...] | None
) -> RunRecord:
    """The record with the inputs and steps of the run before, if that had the same archive; `kept` None: all steps."""
    archive = _archive_of(inputs)
    if before is not None and archive is not None and archive == _archive_of(before.inputs):
        roles = {item.role for item in inputs}
        grown = {item.role: item for item in before.inputs if item.role == "archive"}  # by what the pipeline adds
        of_now = [grown.get(item.role, item) for item in inputs]
        inputs = [*(item for item in before.inputs if item.role not in roles), *of_now]
        steps = tuple(step for step in before.steps if kept is None or step.name in kept)
        record = record.changed(steps=steps)
    return record.changed(inputs=tuple(inputs))


def _archive_of(inputs: Iterable[Input]) -> str | None:
    return next((item.sha256 for item in inputs if item.role == "archive"), None)


def _before_grains(options: Options) -> tuple[str, ...]:
    """Steps that a run which starts from an archive, and perhaps from its peaks, leaves to the run before."""
    return ("ZipOut",) if options.peak_search else ("ZipOut", "first_look", "peaksearch")


def _inputs(options: Options, plan: LayerPlan, layer: Layer) -> Iterable[Input]:
    files: dict[str, list[Path]] = {}
    if options.parameter_file is not None:
        files["parameters"] = [options.parameter_file]
    if options.spot_table:
        files["spots"] = [options.result_folder / layer.extra_info.name]
    elif options.convert:
        files |= _raw_files(options, plan)
    if options.grains_file is not None:
        files["grains"] = [options.grains_file]
    for role, paths in files.items():
        yield Input(role, **asdict(provenance.fingerprint(*paths)))
    if layer.archive is not None:
        yield archive_input(layer.archive)


def _raw_files(options: Options, plan: LayerPlan) -> dict[str, list[Path]]:
    from midas.convert.scan import files_of
    from midas.pipeline.inputs import conversion_options

    assert options.parameter_file is not None  # `Options.checked` sees to it
    return files_of(conversion_options(options, plan), options.parameter_file.parent)


def _parameter_hash(given: Mapping[str, object]) -> str:
    """Of what the stages read, without the paths, in the order of the names."""
    read = {key for reader in _PARTS for key in reader.keys if KEYS[key].kind != PATH}
    return provenance.hash_of_lines([f"{key} {given[key]!r}" for key in sorted(read.intersection(given))])


def _origins(options: Options | None, plan: LayerPlan | None, given: Mapping[str, object]) -> dict[str, str]:
    """Where the values come from of the keys that the stages read."""
    user_file = None if options is None else options.user_file
    of_file: set[str] = set() if user_file is None else set(user_file.parameters)
    of_options: set[str] = set() if plan is None else set(plan.settings)
    if options is not None and user_file is not None:
        settings = user_file.settings(options)
        of_options |= {key for key in settings if key not in of_file or KEYS[key].kind != PATH}
        of_options |= {"GrainsFile"} if options.grains_file is not None else set()
    if options is not None:
        of_options |= {key for name, key in _OF_OPTIONS.items() if getattr(options, name) is not None}
    converted = options is None or options.convert or options.spot_table

    def origin(key: str) -> str:
        if key in of_options:
            return "option"
        if key in of_file and (converted or not read_from_archive(key)):
            return "file"
        return "archive" if key in given else "default"

    return {key: origin(key) for key in sorted({key for reader in _PARTS for key in reader.keys})}
