"""Which steps of a layer stand: they are complete, would run with the same again, and left what is there."""

from __future__ import annotations

from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from midas.formats.layer import Layer
from midas.formats.ledger import Entry, Ledger, Stamp
from midas.ledger.content import stamp, stamp_of_start
from midas.ledger.steps import Files, Step, first_of
from midas.ledger.wanted import Wanted
from midas.parameters import Parameters
from midas.runtime.errors import MidasError

NEVER, UNFINISHED = "has not run", "did not finish"


@dataclass(frozen=True)
class Asked:
    """A step that a run is asked for.

    Parameters
    ----------
    parameters : as its function gets them; called when all steps before stand
    more : keywords of its function
    appended : names of files that it writes, and behind whose content later passes of the indexing write
    latest : names of files that it reads as they are after all passes
    same : whether it is taken to be asked for as before, with `more`, and files from elsewhere, of the ledger
    """

    step: Step
    parameters: Callable[[], Parameters]
    more: Mapping[str, object] = field(default_factory=dict)
    appended: frozenset[str] = frozenset()
    latest: frozenset[str] = frozenset()
    same: bool = False


@dataclass(frozen=True)
class Reason:
    """Why a step has to be done again.

    Parameters
    ----------
    text : how the sentence goes on behind the name of the step
    other : whether it would run with something else than before; else it is only not there, or not complete
    follows : whether the step is only behind another one that does not stand
    """

    text: str
    other: bool = False
    follows: bool = False


def standing(
    layer: Layer, ledger: Ledger, asked: Sequence[Asked], given: Mapping[str, Reason] | None = None
) -> dict[str, Reason]:
    """Why steps do not stand, by their names; the others stand.

    The steps are taken in order: the first that does not stand takes all behind it with it, but for those of which
    nothing depends. What a step read is compared with what the step before it is recorded to have written, and with the
    files where they come from elsewhere. So a file that several steps write, each on top of the one before, is as it
    was when it is as the last one left it.

    Parameters
    ----------
    given : reasons that are known already
    """
    reasons = dict(given or {})
    while True:
        found = _in_order(layer, ledger, asked, reasons)
        broken = next(_broken(layer, ledger, asked, found), None)
        if broken is None:
            return found
        reasons = {**reasons, broken[0]: broken[1]}


def _in_order(layer: Layer, ledger: Ledger, asked: Sequence[Asked], given: Mapping[str, Reason]) -> dict[str, Reason]:
    """The reasons, with nothing known of what the steps have left."""
    reasons: dict[str, Reason] = {}
    written: dict[str, Stamp | None] = {}
    stop = ""
    for one in asked:
        name, entry = one.step.name, ledger.entries.get(one.step.name)
        if stop:
            reasons[name] = Reason(f"comes after {stop}", follows=True)
            continue
        known = {file: found for file, found in written.items() if file not in one.latest}
        reason = given.get(name) or why_not(layer, one, entry, known)
        if reason is None:
            assert entry is not None
            written |= entry.outputs
            continue
        reasons[name] = reason
        if not one.step.leaf:
            stop = name
    return reasons


def _broken(
    layer: Layer, ledger: Ledger, asked: Sequence[Asked], reasons: Mapping[str, Reason]
) -> Iterator[tuple[str, Reason]]:
    """Steps that stand but for what they have left."""
    kept = [one for one in asked if one.step.name not in reasons]
    last = {file: one for one in kept for file in ledger.entries[one.step.name].outputs}
    later = _overwritten(ledger, [one for one in asked if one.step.name in reasons])
    for one in kept:
        mine = {file for file, writer in last.items() if writer is one}
        if text := changed_outputs(layer, one, ledger.entries[one.step.name], mine, later):
            yield one.step.name, Reason(text)


def _overwritten(ledger: Ledger, behind: Sequence[Asked]) -> dict[str, Overwritten]:
    """What steps that run again have written over the files of others."""
    found: dict[str, Overwritten] = {}
    for number, one in enumerate(behind):
        entry = ledger.entries.get(one.step.name)
        for name, left in ({} if entry is None else entry.outputs).items():
            # It can run again on what it has written; one before it would read that for the first time.
            harmless = name in one.step.rewrites and number == 0
            found[name] = Overwritten(one.step.name, left, harmless=harmless)
    return found


def why_not(
    layer: Layer, one: Asked, entry: Entry | None, known: Mapping[str, Stamp | None] | None = None
) -> Reason | None:
    """Why a step cannot be left as it is, whatever has become of its outputs.

    Parameters
    ----------
    known : what files held before the step ran
    """
    if entry is None:
        return Reason(NEVER)
    try:
        now = Wanted.now(layer, one.step, one.parameters(), one.more, known)
    except MidasError:
        return Reason("cannot tell what it would read", other=True)  # running it says why
    if one.same:
        unknown = {name: was for name, was in entry.inputs.items() if name not in now.inputs}
        now = replace(now, more=entry.more, inputs={**unknown, **now.inputs})
    if text := "; ".join(_differences(entry, now)):
        return Reason(text, other=True)
    return None if entry.complete else Reason(UNFINISHED)


def _differences(entry: Entry, now: Wanted) -> Iterator[str]:
    """What differs from the time when the step ran."""
    if now.version != entry.version:
        yield f"midas is {now.version}, was {entry.version}"
    for label, new, old in (("parameter", now.parameters, entry.parameters), ("setting", now.more, entry.more)):
        for name in dict.fromkeys((*new, *old)):
            if new.get(name) != old.get(name):
                yield f"{label} {name} is {new.get(name, 'not given')}, was {old.get(name, 'not given')}"
    for name, (was, found) in _pairs(entry.inputs, now.inputs).items():
        if (was and was.identity) != (found and found.identity):
            yield f"{name} {_change(was, found)}"


def _pairs(
    before: Mapping[str, Stamp | None], after: Mapping[str, Stamp | None]
) -> dict[str, tuple[Stamp | None, Stamp | None]]:
    return {name: (before.get(name), after.get(name)) for name in dict.fromkeys((*before, *after))}


def _change(was: Stamp | None, found: Stamp | None) -> str:
    return "is missing" if found is None else "is new" if was is None else "has changed"


@dataclass(frozen=True)
class Overwritten:
    """A file that a later step has written over.

    Parameters
    ----------
    by : the name of that step
    left : what it left
    harmless : whether that step can run again on what it has written
    """

    by: str
    left: Stamp | None
    harmless: bool


def changed_outputs(
    layer: Layer,
    one: Asked,
    entry: Entry,
    names: Collection[str] | None = None,
    later: Mapping[str, Overwritten] | None = None,
) -> str:
    """Which file that a step wrote is not as it was; "" if all of them are.

    Parameters
    ----------
    names : of the files to look at; all by default
    later : what others have written over them
    """
    try:
        files: Files = one.step.outputs(layer, one.parameters().for_stage(one.step.reader))
    except MidasError:
        return "cannot tell what it wrote"
    for name in dict.fromkeys((*entry.outputs, *files)):
        if names is not None and name in entry.outputs and name not in names:
            continue
        was, paths = entry.outputs.get(name), files.get(name, ())
        if _as_it_was(was, paths, appended=name in one.appended):
            continue
        over = (later or {}).get(name)
        if over is None or over.left is None or not _as_it_was(over.left, paths):
            return f"{name} {_change(was, stamp(*paths) if paths else None)}"
        if not over.harmless:
            return f"{name} was changed by {over.by}"
    return ""


def changed_files(folder: Path, entry: Entry, appended: Container[str]) -> str:
    """Which file of a step, of those that it names one by one, is not as it was; "" if all of them are.

    Parameters
    ----------
    appended : names of files that later passes of the indexing have grown
    """
    for name, was in entry.outputs.items():
        path = folder / name
        if was is not None and not _as_it_was(was, (path,), appended=name in appended):
            return f"{name} {_change(was, stamp(path))}"
    return ""


def is_altered(layer: Layer, step: Step, parameters: Parameters, entry: Entry) -> bool:
    """Whether files that a complete step has left hold something else now, but for what later passes have added.

    What a pass of the indexing has left may be shorter since: rows in which it found nothing are cut off.
    """
    files: Files = step.outputs(layer, parameters.for_stage(step.reader))
    for name, paths in files.items():
        was = entry.outputs.get(name)
        if was is None or not all(path.exists() for path in paths):
            continue
        shorter = sum(path.stat().st_size for path in paths) < was.size
        if not (shorter and first_of(step.name) != step.name) and not _as_it_was(was, paths, appended=True):
            return True
    return False


def _as_it_was(was: Stamp | None, paths: Sequence[Path], *, appended: bool = False) -> bool:
    """Whether files still hold what they held; those that were not changed since are not read."""
    try:
        states = [path.stat() for path in paths]
    except OSError:
        return was is None
    if was is None or not paths:
        return was is None and not paths
    # Of several files the sums stay when two change places.
    if len(states) == 1 and (states[0].st_size, states[0].st_mtime_ns) == (was.size, was.mtime_ns):
        return True
    if appended and states[0].st_size >= was.size:
        return stamp_of_start(paths[0], was.size) == was.sha256
    found = stamp(*paths)
    return found is not None and found.identity == was.identity
