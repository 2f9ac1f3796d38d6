"""``midas_log/ledger.json``: what each step of a layer ran with, and what it left (docs/formats.md#ledger)."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from midas.runtime.errors import MidasError
from midas.runtime.files import read_bytes, readable, write_atomic
from midas.runtime.provenance import SAMPLES, WHOLE

log = logging.getLogger(__name__)

_KIND = "midas ledger 1"

#: what a step can be
STARTED, COMPLETE = "started", "complete"


@dataclass(frozen=True)
class Stamp:
    """What a file holds, or several that belong together.

    Parameters
    ----------
    size : bytes of all of them
    mtime_ns : when it was changed last, nanoseconds since 1970; of several files the sum
    sha256 : of their content
    of : what of the content: whole, samples, members (see `midas.runtime.provenance`)
    files : how many
    """

    size: int
    mtime_ns: int
    sha256: str
    of: str = WHOLE
    files: int = 1

    @property
    def identity(self) -> str:
        """The same for the same content; of content that is only sampled, the time of the last change is part of it."""
        return f"{self.sha256} {self.mtime_ns}" if self.of == SAMPLES else self.sha256


#: by the names of files in the layer folder; None: there is no such file
Stamps = Mapping[str, Stamp | None]


@dataclass(frozen=True)
class Entry:
    """One step.

    Parameters
    ----------
    step : its name, that of its logs
    state : `STARTED` or `COMPLETE`
    key : of the run (`midas.ledger.run_key`)
    version : of the suite
    parameters : that it read, as text
    more : what else its results depend on, as text
    inputs, outputs : files that it read and wrote
    date : when it started; UTC, ISO 8601
    seconds : that it took
    counts : what it found
    number : of the runs of steps in this folder, which grows
    host, pid : of the process
    blocks : legacy blocks that share the work
    members : those of them that are complete
    cleared : (first, end) of frames whose files of earlier runs are gone
    """

    step: str
    state: str
    key: str
    version: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, str] = field(default_factory=dict)
    inputs: Stamps = field(default_factory=dict)
    outputs: Stamps = field(default_factory=dict)
    date: str = ""
    seconds: float = 0.0
    counts: Mapping[str, int] = field(default_factory=dict)
    number: int = 0
    host: str = ""
    pid: int = 0
    blocks: int = 1
    members: tuple[int, ...] = ()
    cleared: tuple[tuple[int, int], ...] = ()

    @property
    def complete(self) -> bool:
        """Whether the step came to its end."""
        return self.state == COMPLETE

    def changed(self, **values: Any) -> Entry:
        """The entry with other values of some fields."""
        return replace(self, **values)


@dataclass(frozen=True)
class Ledger:
    """The entries of a layer, by the names of the steps."""

    entries: Mapping[str, Entry] = field(default_factory=dict)

    def with_entry(self, entry: Entry) -> Ledger:
        """The ledger with this entry in place of the earlier one of its step."""
        return Ledger({**self.entries, entry.step: entry})

    def without(self, names: Iterable[str]) -> Ledger:
        """The ledger without the entries of some steps."""
        gone = set(names)
        return Ledger({name: entry for name, entry in self.entries.items() if name not in gone})

    def next_number(self) -> int:
        """Of the run of a step that begins now."""
        return 1 + max((entry.number for entry in self.entries.values()), default=0)

    def text(self) -> bytes:
        """The content of the file."""
        # A line a step: it is written twice for every step, and with an indent json does not use its fast encoder.
        lines = ",\n".join(json.dumps(_plain(entry), ensure_ascii=False) for entry in self.entries.values())
        return (readable(f'{{"kind": {json.dumps(_KIND)}, "steps": [\n{lines}\n]}}') + "\n").encode()

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the file, complete or not at all."""
        write_atomic(path, self.text())


def _plain(entry: Entry) -> dict[str, Any]:
    """The fields of an entry as JSON has them."""
    stamps = {
        part: {name: None if found is None else vars(found) for name, found in getattr(entry, part).items()}
        for part in ("inputs", "outputs")
    }
    return {**vars(entry), **stamps}


def read_ledger(path: str | os.PathLike[str]) -> Ledger:
    """The ledger in a file; an empty one where there is none. A damaged one counts for nothing, with a warning."""
    path = Path(path)
    if not path.exists():
        return Ledger()
    try:
        content = read_bytes(path)
    except MidasError as error:
        log.warning("%s; no step is known to be complete", error)
        return Ledger()
    try:
        values = json.loads(content)
        if values["kind"] != _KIND:
            raise ValueError
        entries = [_entry(item) for item in values["steps"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        log.warning("%s: is no ledger of this version, and counts for nothing: no step is known to be complete", path)
        return Ledger()
    return Ledger({entry.step: entry for entry in entries})


def _entry(item: Mapping[str, Any]) -> Entry:
    """An entry of the file, each of its fields of the right type."""
    entry = Entry(**item)
    texts = (entry.step, entry.state, entry.key, entry.version, entry.date, entry.host)
    numbers = (entry.seconds, entry.number, entry.pid, entry.blocks, *entry.counts.values(), *entry.members)
    pairs = (*entry.parameters.items(), *entry.more.items())
    ranges = tuple((int(first), int(end)) for first, end in entry.cleared)
    if not all(isinstance(text, str) for text in (*texts, *(text for pair in pairs for text in pair))):
        raise TypeError
    if not all(isinstance(number, (int, float)) for number in numbers):
        raise TypeError
    stamps = [{name: _stamp(found) for name, found in item[part].items()} for part in ("inputs", "outputs")]
    return entry.changed(inputs=stamps[0], outputs=stamps[1], members=tuple(entry.members), cleared=ranges)


def _stamp(item: Mapping[str, Any] | None) -> Stamp | None:
    if item is None:
        return None
    stamp = Stamp(**item)
    if not (isinstance(stamp.sha256, str) and isinstance(stamp.of, str)):
        raise TypeError
    if not all(isinstance(number, int) for number in (stamp.size, stamp.mtime_ns, stamp.files)):
        raise TypeError
    return stamp
