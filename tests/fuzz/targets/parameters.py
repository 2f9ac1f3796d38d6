"""Parameters from everywhere: files of every dialect, datasets of an archive, words of a command line.

The first line of an input says what it is; only the rest is mutated. Files are read as every part of the suite reads
them; some of them are also checked as ``ff-check`` does, or give a list of reflections.
"""

from __future__ import annotations

import os
import random
import shlex
import zlib
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from midas.commands import program as programs
from midas.commands.driver import _options
from midas.commands.names import MODULES, program
from midas.commands.program import parse
from midas.diagnosis.check import Request, examine
from midas.diagnosis.check.resolved import rows
from midas.diagnosis.check.spelling import without_effect
from midas.experiment import DetectorGeometry
from midas.experiment.crystal import reflections
from midas.parameters import Parameters
from midas.parameters.parser import DIALECTS, lines_of
from midas.parameters.readers import READERS
from midas.parameters.table import FLOAT, INT, KEYS, PATH, REQUIRED, TEXT, WORD, Key
from midas.pipeline.user_file import UserFile
from midas.runtime.errors import MidasError, ParameterError

from ..harness import Mutate, Target
from ..mutations import TEXT as STEPS
from ..mutations import mixed, odd_digits

SAMPLE = """
LatticeConstant 4.08 4.08 4.08 90 90 90
SpaceGroup 225
Wavelength 0.22291
Lsd 1000000
BC 1024 1024.5
px 200
RhoD 204800
NrPixels 2048
tx 0.1
ty 0.2
tz 0.3
p0 1e-4
Wedge 0.1
OmegaStart 180
OmegaStep -0.25
SkipFrame 1
RingThresh 1 80
RingThresh 2 60.5
ImTransOpt 1
OmegaRange -180 -10
OmegaRange 10 180
BoxSize -1000000 1000000 -1000000 1000000
BoxSize -1000000 1000000 -1000000 1000000
Completeness 0.8
OverAllRingToIndex 2
MinNrSpots 1
RawFolder /data/raw
FileStem gold
Ext .ge3
Padding 6
StartFileNrFirstLayer 1
NrFilesPerSweep 1
"""

_NUMBERS = {FLOAT: "1.5", INT: "2"}
_TYPES = ("<f8", "<f4", "<f2", "<i4", "<i8", "<u2", "|u1", "|b1", ">i4", ">f8", "<c16")
_TEXTS = {WORD: "word", TEXT: "some text", PATH: "a folder/file.txt"}


def _line(key: Key, spelled: str) -> str:
    """A line of a parameter file that is right."""
    if key.default is not REQUIRED and key.default not in ("", (), None):
        line = lines_of(key.name, key.default, spelled)
        if line and line[0].split()[1:]:
            return "\n".join(line)
    if key.choices:
        return f"{spelled} {key.choices[-1]}"
    if not key.is_number:
        return f"{spelled} {_TEXTS[key.kind]}"
    low = key.range.low if np.isfinite(key.range.low) else 0
    number = _NUMBERS[key.kind] if low < 1.5 < key.range.high else str(max(low, 0))
    return f"{spelled} {' '.join([number] * key.count)}"


def _right(names: Sequence[tuple[Key, str]], dialect: str) -> str:
    """The lines of these keys that this dialect takes."""
    lines = [_line(key, name) for key, name in names]
    return "".join(f"{line}\n" for line in lines if not _refused(line, dialect))


def _refused(text: str, dialect: str) -> list[ParameterError]:
    errors: list[ParameterError] = []
    parameters = Parameters.parse(text, "", dialect, errors)
    errors += [ParameterError(reason) for k in parameters if (reason := KEYS[k].refusal(parameters.as_given()[k]))]
    return errors


def corpus() -> Mapping[str, bytes]:
    """Every key under every name, the lines of examples of every program, archives with these keys."""
    found: dict[str, bytes] = {f"{dialect} sample": f"{dialect}\n{SAMPLE}".encode() for dialect in DIALECTS}
    for kind, copies in (
        ("check", 4),
        ("physics", 20),
    ):  # each is as often chosen as any other
        found |= {f"{kind} sample {i}": f"{kind}\n{SAMPLE}".encode() for i in range(copies)}
    names = [(key, name) for key in KEYS.values() for name in (key.name, *key.aliases)]
    for dialect in DIALECTS:
        own = [(key, name) for key in KEYS.values() for name in key.dialect_aliases.get(dialect, ())]
        for start in range(0, len(names), 8):
            text = _right([*names[start : start + 8], *own[:8]], dialect)
            found[f"{dialect} {start}"] = f"{dialect}\n{text}".encode()
    found["archive sample"] = _archive(Parameters.parse(SAMPLE, "sample"))
    for start in range(0, len(names), 8):
        found[f"archive {start}"] = _archive(Parameters.parse(_right(names[start : start + 8], "user"), "keys"))
    for name in MODULES:
        for i, (example, _) in enumerate(program(name).examples[:1]):
            words = shlex.split(example)
            if name in words:
                found[f"{name} {i}"] = "\n".join(["words", *words[words.index(name) :]]).encode()
    return found


def _archive(parameters: Parameters) -> bytes:
    """Datasets as lines of path, type and content."""
    lines = []
    for path, array in parameters.archive_datasets():
        flat = array.ravel()
        items = [x.decode("latin-1") if isinstance(x, bytes) else repr(x) for x in flat.tolist()]
        lines.append(f"{path}\t{array.dtype.str}\t{chr(31).join(items)}")
    return "\n".join(["archive", *lines]).encode("latin-1", "replace")


def run(data: bytes, folder: Path) -> None:
    kind, _, rest = data.partition(b"\n")
    _RUNS[kind.decode()](rest, folder)


def _file(kind: str, data: bytes, folder: Path) -> Parameters:
    path = folder / "ps.txt"
    path.write_bytes(data)
    return Parameters.read(path, kind)


def _text(kind: str, data: bytes, folder: Path) -> None:
    """Read a file as parts of the suite do, or write what it says into an archive and read that."""
    parameters = _file(kind, data, folder)
    if zlib.crc32(data) % 2:
        copy = Parameters.from_archive_values(dict(parameters.archive_datasets()), "archive")
        assert set(copy) <= {*parameters, "OmegaStart", "OmegaFirstFile", "BC", "OmegaStep"}
        return
    refused = None
    for name in _some(list(READERS), data, 3):
        own = parameters.for_stage(name)
        for key in parameters:
            if key in READERS[name].keys:
                try:
                    own.get(key)
                except MidasError as error:  # the others are read all the same
                    refused = error
    for key in parameters:
        lines_of(key, parameters.as_given()[key])
    if refused is not None:
        raise refused


def _some(names: list[str], data: bytes, count: int) -> Iterator[str]:
    first = zlib.crc32(data)
    return (names[(first + 7 * i) % len(names)] for i in range(count))


def _datasets(data: bytes, folder: Path) -> None:
    datasets: dict[str, np.ndarray] = {}
    for line in data.decode("latin-1").split("\n"):
        path, _, rest = line.partition("\t")
        dtype, _, text = rest.partition("\t")
        datasets[path] = _array(dtype, text)
    parameters = Parameters.from_archive_values(datasets, "archive")
    for name in _some(list(READERS), data, 3):
        own = parameters.for_stage(name)
        for key in parameters:
            if key in READERS[name].keys:
                own.get(key)


def _array(dtype: str, text: str) -> np.ndarray:
    """As an archive would hold it: numbers of a type that it knows, else bytes, else letters."""
    items = text.split(chr(31))
    if dtype in _TYPES:
        try:
            with np.errstate(all="ignore"):
                return np.array([float(item) for item in items]).astype(dtype)
        except (ValueError, OverflowError):
            return np.array(items)
    return np.array([text.encode("latin-1")])


def _physics(data: bytes, folder: Path) -> None:
    """The instrument and the reflections that a file describes."""
    parameters = _file("user", data, folder)
    detector = DetectorGeometry.from_parameters(parameters)
    detector.packed()
    reflections(parameters.for_stage("hkls"))


def _check(data: bytes, folder: Path) -> None:
    path = folder / "ps.txt"
    path.write_bytes(data)
    report = examine(Request(path, needs_frames=False), without_effect)
    assert all(line.isprintable() for line in (*report.warnings, *report.errors)), (report.warnings, report.errors)
    list(rows(report.subject))


def _words(data: bytes, folder: Path) -> None:
    words = data.decode("utf-8", "surrogateescape").replace("\0", "").split("\n")
    name, argv = words[0] if words[0] in MODULES else "ff-midas", words[1:]
    called = program(name)
    if argv and argv[0] in called.parts:
        called, name, argv = program(called.parts[argv[0]]), f"{name} {argv[0]}", argv[1:]
    try:
        values = parse(called, name, argv)
    except SystemExit as end:  # --help, --version
        assert end.code == 0
        return
    if called.names[0] == "ff-midas" and not values.words:
        values.paramFN = ""
        _options(values).check_numbers()


_RUNS = {
    **{dialect: lambda data, folder, d=dialect: _text(d, data, folder) for dialect in DIALECTS},
    "archive": _datasets,
    "physics": _physics,
    "check": _check,
    "words": _words,
}


def behind_first_line(mutate: Mutate) -> Mutate:
    """The first line stays, since it says what the rest is."""

    def mutated(data: bytes, name: str, source: random.Random) -> bytes:
        head, line, rest = data.partition(b"\n")
        return head + line + mutate(rest, name, source)

    return mutated


def prepare() -> None:
    """What only some inputs need, and the parsers of all command lines, which take longer to make than to use."""
    os.environ["COLUMNS"] = "100"  # else argparse asks the terminal for each option
    programs.parser = _made_once(programs.parser)
    for name in MODULES:
        program(name)
    UserFile(Path("ps.txt"))


def _made_once(make: Callable[..., ArgumentParser]) -> Callable[..., ArgumentParser]:
    made: dict[str, ArgumentParser] = {}

    def parser(program: programs.Program, name: str) -> ArgumentParser:
        if name not in made:
            made[name] = make(program, name)
        return made[name]

    return parser


TARGETS = (Target("parameters", run, corpus, behind_first_line(mixed((*STEPS, (1, odd_digits)))), prepare),)
