"""The parameters and the scan as the checks look at them: the file is parsed to its end, raw files are opened."""

from __future__ import annotations

import difflib
from pathlib import Path

from midas.archive import Archive
from midas.convert import decompressed
from midas.convert.options import ConversionOptions
from midas.convert.scan import RawScan
from midas.convert.settings import settled
from midas.convert.sweep import raw_files, scan_names
from midas.diagnosis.check.finding import Finding
from midas.diagnosis.check.missing import RAW_FILES
from midas.diagnosis.check.request import Request
from midas.diagnosis.check.subject import ScanFacts, Subject
from midas.parameters import Parameters, parser
from midas.parameters.archive_mapping import without_sentinels
from midas.parameters.table import KEYS
from midas.runtime import logs
from midas.runtime.errors import MidasError, ParameterError, UsageError


def read(request: Request) -> tuple[Subject, list[Finding]]:
    """The subject of a request, and what is wrong with single values by themselves.

    Raises
    ------
    MidasError : for a file that is no parameter file, or an archive that cannot be read
    """
    if request.converts or request.archive is None or request.archive != request.source:
        return _parameter_file(request)
    return _archive(request, request.archive)


def _parameter_file(request: Request) -> tuple[Subject, list[Finding]]:
    errors: list[ParameterError] = []
    found = parser.parse(parser.text_of(request.source), request.source, "user", errors)
    if not found.occurrences and not errors:
        raise ParameterError("holds no parameters", file=request.source)
    values = {**without_sentinels(found.values), **request.settings}
    subject = Subject(request, values, found.occurrences, found.unknown)
    findings = [Finding.of(error, request.source) for error in errors]
    subject.note(findings)
    if request.converts:
        scan_findings = _open_raw_files(subject)
    else:
        scan_findings = [] if request.archive is None else _open_archive(subject, request.archive)
    subject.note(scan_findings)
    return subject, [*findings, *scan_findings]


def _archive(request: Request, path: Path) -> tuple[Subject, list[Finding]]:
    with Archive(path) as archive:
        values = {**archive.parameters.as_given(), **request.settings}
    subject = Subject(request, values)
    refusals = ((name, KEYS[name].refusal(value)) for name, value in values.items())
    findings = [subject.finding(name, reason) for name, reason in refusals if reason]
    subject.note(findings)
    return subject, [*findings, *_open_archive(subject, path)]


def _open_archive(subject: Subject, path: Path) -> list[Finding]:
    try:
        with logs.muted("midas.archive.reader"), Archive(path) as archive:
            frames, rows, columns = archive.frames.shape
            subject.scan = ScanFacts(path, frames, rows, columns, archive.omegas)
    except MidasError as error:
        return [Finding.of(error, subject.source)]
    return []


def _open_raw_files(subject: Subject) -> list[Finding]:
    """The scan of a subject; of several layers each says for itself what is wrong with its files."""
    request = subject.request
    named = request.data_file or (request.layer == 1 and subject.get("dataFN")) or ""
    if not named and not subject.given(*RAW_FILES):
        return []  # said about the missing keys
    options = ConversionOptions(request.source, Path(), data_file=request.data_file, layer=request.layer)
    try:
        with logs.muted("midas.convert.settings"):
            p = settled(subject.parameters("convert"), options)
    except MidasError as error:
        return [_of_key(subject, error)]
    try:
        with logs.muted("midas.convert.readers"), logs.muted("midas.convert.sweep"):
            return _opened(subject, p, named)
    except UsageError:
        raise
    except MidasError as error:
        return [] if request.several else [_of_key(subject, error)]


def _of_key(subject: Subject, error: MidasError) -> Finding:
    """An error, with the line of the key that it is about."""
    if error.key in KEYS and error.line is None and error.file in (None, str(subject.source)):
        return subject.finding(error.key, error.reason)
    return Finding.of(error, subject.source)


def _opened(subject: Subject, p: Parameters, named: str) -> list[Finding]:
    """Open the raw files and the dark, and keep what they tell."""
    request = subject.request
    first = Path(named) if named else scan_names(p.without("dataFN"), request.layer)[0]
    paths = raw_files(request.located(str(first)), p["numFilesPerScan"], scan=True)
    missing = next((path for path in paths if not path.is_file()), None)
    if missing is not None and not named:
        return [] if request.several else [_missing(subject, missing)]
    if any(map(decompressed.is_compressed, paths)):
        return []  # opening one may take as long as reading it
    scan = RawScan.of(paths, p, request.folder, links=request.links)
    if not scan.counted:
        return []
    findings = _rotation(subject, p, scan)
    darks = [request.located(name) for name in p["Dark"]]
    if all(path.is_file() and not decompressed.is_compressed(path) for path in darks):
        scan.dark  # noqa: B018 - says if it does not fit
    return findings


def _rotation(subject: Subject, p: Parameters, scan: RawScan) -> list[Finding]:
    """Keep what the files tell of the scan, and the angles that count; what the conversion will say about these."""
    rotation = scan.rotation
    subject.scan = ScanFacts(scan.sweep.sources[0].path, *scan.shape, rotation.told)
    changed = {name: rotation.parameters.get(name) for name in ("OmegaStart", "OmegaStep")}
    changed = {name: value for name, value in changed.items() if value != p.get(name)}
    subject.values = {**subject.values, **changed}
    subject.of_the_scan |= changed.keys()
    return [Finding(remark, is_error=False) for remark in rotation.remarks]


def _missing(subject: Subject, path: Path) -> Finding:
    """A raw file that the parameters name and nobody has, with what is there."""
    folder = path.parent
    if not folder.is_dir():
        return subject.finding("RawFolder", f"there is no such folder, nor in {subject.request.folder}")
    alike = sorted(other.name for other in folder.iterdir() if other.name.startswith(subject.values["FileStem"]))
    nearest = difflib.get_close_matches(path.name, alike, 1, 0.0)
    there = f"; there is {nearest[0]}" if nearest else f"; no file in {folder} begins with {subject.values['FileStem']}"
    reason = f"raw file {path.name} of FileStem, StartFileNrFirstLayer, Padding and Ext is not in RawFolder{there}"
    return subject.finding("FileStem", reason)
