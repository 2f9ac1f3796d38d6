"""The parameters as a run will have them: value, unit, and where each comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from midas.diagnosis.check.subject import Subject
from midas.parameters.readers import READERS, readers_of
from midas.parameters.table import GROUPS, REQUIRED, Key, Value

#: parts that a run of the driver does not have
_ELSEWHERE = {"simulation", "calibrate", "commands"}


class Row(NamedTuple):
    """A line of the table."""

    key: str
    value: str
    unit: str
    origin: str


def rows(subject: Subject) -> Iterator[Row]:
    """Every key that the run reads and that has a value, every key that is given, and where the beam is."""
    for _, keys in GROUPS:
        for key in keys:
            yield from _rows_of(subject, key)
    yield from _beam_centre(subject)


def _rows_of(subject: Subject, key: Key) -> Iterator[Row]:
    name = key.name
    if name in subject.values:
        origin = _origin(subject, name)
        items = subject.values[name] if key.lines else (subject.values[name],)
        for item, value in enumerate(items):
            line = subject.line(name, item) if key.lines else None
            yield Row(name, _shown(value), key.unit, origin if line is None else f"line {line}")
    elif name in subject.faulty:
        yield Row(name, "wrong", key.unit, "see below")
    elif set(readers_of(name)) - _ELSEWHERE and not key.not_yet and key.archive != "":
        yield from _absent(subject, key)


def _absent(subject: Subject, key: Key) -> Iterator[Row]:
    if key.name == "OmegaRange" and subject.covered is not None:
        for pair in subject.covered:
            yield Row(key.name, _shown(pair), key.unit, "the scan")
    elif key.name == "OmegaStart" and subject.request.converts and "OmegaFirstFile" not in subject.values:
        yield Row(key.name, "0", key.unit, "default")
    elif key.name == "BoxSize":
        yield Row(key.name, "the whole detector", "", "default")
    elif key.default not in (REQUIRED, "", ()):
        yield Row(key.name, _shown(key.default), key.unit, _default_of(key))


def _default_of(key: Key) -> str:
    others = {
        part: READERS[part].defaults[key.name] for part in readers_of(key.name) if key.name in READERS[part].defaults
    }
    changed = ", ".join(f"{_shown(value)} in {part}" for part, value in others.items() if value != key.default)
    return f"default ({changed})" if changed else "default"


def _origin(subject: Subject, name: str) -> str:
    if name in subject.of_the_scan:
        return "the raw file"
    if name in subject.request.options:
        return subject.request.options[name]
    if name in subject.request.settings:
        return "option"
    line = subject.line(name)
    if line is None:
        return "archive"
    spelled = subject.spelling(name)
    return f"line {line}" if spelled == name else f"line {line}, as {spelled}"


def _beam_centre(subject: Subject) -> Iterator[Row]:
    """Where the beam is in the raw frame, since `BC` is a place in the padded and transformed image."""
    image = subject.image
    if image is None or not subject.given("BC"):
        return
    y, z = subject.values["BC"]
    column, row = image.to_raw(y, z)
    operations = " ".join(map(str, image.operations)) or "none"
    side = image.side
    yield Row("image", f"{side} x {side}", "px", f"{image.columns} x {image.rows} padded; ImTransOpt {operations}")
    yield Row("beam in the image", _shown((y, z)), "px", "BC: column, row")
    yield Row("beam in the raw frame", _shown((column, row)), "px", "column, row before padding and ImTransOpt")


def _shown(value: Value) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_shown, value))
    return f"{value:.10g}" if isinstance(value, float) else str(value)
