"""The parameter reference of the documentation, printed from the table and from the list of readers."""

from __future__ import annotations

from collections.abc import Iterator

from midas.parameters.readers import READERS, readers_of
from midas.parameters.table import GROUPS, REQUIRED, Key, Value

_INTRODUCTION = """\
# Parameters

Printed from `midas/parameters/table/` and `midas/parameters/readers.py` by `make docs`; do not edit.

A value outside its range is an error that names the file, the line, the key and the value. "Read by" are the parts of
the suite that look at the key; they declare it, and cannot read a key that they do not declare. A key that is **not
read yet** is understood, checked and kept, but nothing acts on it, and its default is not in effect either; a value
that asks for something else than what this version does is reported once.
"""


def reference() -> str:
    """The parameter reference of the documentation."""
    return "\n".join([_INTRODUCTION, *_readers(), *(line for group in GROUPS for line in _group(*group)), ""])


def _readers() -> Iterator[str]:
    yield from ("| part | takes its parameters from |", "|---|---|")
    for name, reader in READERS.items():
        yield f"| {name} | {reader.source} |"


def _group(title: str, keys: tuple[Key, ...]) -> Iterator[str]:
    yield from ("", f"## {title}", "", "| key | type | unit | range | default | read by | meaning |")
    yield "|---|---|---|---|---|---|---|"
    for key in keys:
        also = f" (also `{'`, `'.join(key.aliases)}`)" if key.aliases else ""
        size = f" × {key.count}" if key.count > 1 else ""
        kind = f"{key.kind}{size}{' list' if key.is_list else ''}"
        cells = (f"`{key.name}`{also}", kind, key.unit, _range(key), _defaults(key), _read_by(key), _meaning(key))
        yield f"| {' | '.join(cells)} |"


def _range(key: Key) -> str:
    limits = str(key.range) if key.range.limits else ""
    words = ", ".join(map(str, key.choices))
    return f"{words}, or a number {limits}" if key.or_number else words or limits


def _defaults(key: Key) -> str:
    if key.not_yet:
        meant = _shown(key.default)
        later = "" if meant == "–" else f" (later {meant})"
        return f"none: nothing reads it yet{later}"
    others: dict[str, list[str]] = {}
    for name in readers_of(key.name):
        if key.name in READERS[name].defaults:
            others.setdefault(_shown(READERS[name].defaults[key.name]), []).append(name)
    stages = (f"{value} in {', '.join(names)}" for value, names in others.items())
    legacy = [] if key.legacy is None else [f"{_shown(key.legacy)} with `LegacyDigits 1`"]
    return "; ".join([_shown(key.default), *stages, *legacy])


def _shown(value: Value) -> str:
    if value in (REQUIRED, "", ()):
        return "–"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _read_by(key: Key) -> str:
    return "not read yet" if key.not_yet else " ".join(readers_of(key.name)) or "–"


def _meaning(key: Key) -> str:
    return f"{key.text} (not yet: {key.not_yet})" if key.not_yet else key.text
