"""Each step writes into the ledger what it ran with: before it works, and once its outputs have their names."""

from __future__ import annotations

import inspect
import logging
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import wraps
from typing import ParamSpec, TypeVar

from midas.formats.layer import Layer
from midas.formats.ledger import COMPLETE, STARTED, Entry, Ledger, read_ledger
from midas.formats.marks import marks_file
from midas.ledger.rows import Ranges, joined, without
from midas.ledger.standing import is_altered
from midas.ledger.steps import Step, first_of, pass_of
from midas.ledger.wanted import Wanted, stamps_of
from midas.parameters import Parameters
from midas.runtime import provenance
from midas.runtime.errors import MidasError
from midas.runtime.files import make_folder, remove
from midas.runtime.locks import one_at_a_time
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult, whole_numbers

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")


@dataclass
class StepRun:
    """A step while it runs.

    Parameters
    ----------
    layer, step : which
    key : of the run; "" if nothing is recorded
    again : whether a run with the same key was there before, and the caller wants to go on with it
    kept : rows whose results that run has left
    altered : that run was complete, and what it had left is not as it was: its function is not told to go on
    entry : as it was when the step began
    """

    layer: Layer | None = None
    step: Step | None = None
    key: str = ""
    again: bool = False
    kept: Ranges = ()
    altered: bool = False
    entry: Entry | None = None

    def forget(self, rows: range) -> None:
        """Say that the files of these rows are going."""
        self._change_cleared(lambda cleared: without(cleared, rows), needed=True)

    def cleared(self, rows: range) -> None:
        """Say that of these rows only files of this run are there."""
        self._change_cleared(lambda cleared: joined(cleared, rows))

    def _change_cleared(self, change: Callable[[Ranges], Ranges], *, needed: bool = False) -> None:
        if self.layer is None or self.step is None or not self.layer.ledger.exists():
            return
        name, key = self.step.name, self.key

        def changed(ledger: Ledger) -> Ledger:
            entry = ledger.entries.get(name)
            if entry is None or entry.key != key:
                return ledger
            return ledger.with_entry(entry.changed(cleared=change(entry.cleared)))

        update(self.layer, changed, needed=needed)


_running: ContextVar[StepRun] = ContextVar("midas_running_step")


def running() -> StepRun:
    """The step that this thread runs."""
    return _running.get(StepRun())


def recorded(step: Step) -> Callable[[Callable[P, StageResult[T]]], Callable[P, StageResult[T]]]:
    """Make the function of a stage, whose first arguments are layer and parameters, record itself."""

    def decorate(function: Callable[P, StageResult[T]]) -> Callable[P, StageResult[T]]:
        signature = inspect.signature(function)

        @wraps(function)
        def run(*args: P.args, **named: P.kwargs) -> StageResult[T]:
            bound = signature.bind(*args, **named)
            bound.apply_defaults()
            given = dict(bound.arguments)
            seed_pass = given.pop("seed_pass", None)
            own, parameters = step, given["parameters"]
            if seed_pass is not None:
                own = pass_of(step, seed_pass)
                given |= {"seeds": seed_pass.seeds, "visible": seed_pass.visible, "first": seed_pass.first}
                given["completeness"] = seed_pass.completeness
            with recording(given["layer"], own, parameters, given["comm"], given) as record:
                if running().altered:
                    bound.arguments["resume"] = False
                result = function(*bound.args, **bound.kwargs)
                if result is not None:  # members that cannot talk leave some stages to the first one
                    record(result.summary)
            return result

        return run

    return decorate


@contextmanager
def recording(
    layer: Layer,
    step: Step,
    parameters: Parameters,
    comm: Communicator = SERIAL,
    more: Mapping[str, object] | None = None,
) -> Iterator[Callable[[Mapping[str, object]], None]]:
    """Record a step that runs in the block, which says at its end what it has found.

    What cannot be recorded runs all the same: a wrong parameter or archive is for the step itself to tell, and that a
    ledger cannot be written is a warning.

    Parameters
    ----------
    more : keywords of the step; `resume`: whether to go on with what a run with the same key has left
    """
    more, begin = more or {}, time.perf_counter()
    talks = comm.connected and comm.size > 1
    run = StepRun()
    if comm.rank == 0 or not talks:
        run = _started(layer, step, parameters, comm, more)
    if talks:
        key, again, kept, altered = comm.broadcast((run.key, run.again, run.kept, run.altered))
        run = run if comm.rank == 0 else StepRun(key=key, again=again, kept=kept, altered=altered)
    token = _running.set(run)

    def found(summary: Mapping[str, object]) -> None:
        everybody = comm.gather(summary) if talks else [summary]
        if everybody is not None and run.entry is not None:
            _completed(layer, step, parameters, comm, run.entry, whole_numbers(everybody), time.perf_counter() - begin)

    try:
        yield found
    finally:
        _running.reset(token)


def _started(
    layer: Layer, step: Step, parameters: Parameters, comm: Communicator, more: Mapping[str, object]
) -> StepRun:
    try:
        wanted = Wanted.now(layer, step, parameters, more)
    except MidasError as error:
        log.debug("%s is not recorded: %s", step.name, error)
        return StepRun()
    run = StepRun(layer, step, wanted.key)

    run.entry = Entry(
        step.name, STARTED, run.key, wanted.version, wanted.parameters, wanted.more, wanted.inputs,
        date=provenance.now(), host=socket.gethostname(), pid=os.getpid(),
        blocks=comm.size if not comm.connected else 1,
    )  # fmt: skip
    started = run.entry
    if more.get("resume") and layer.ledger.exists():
        run.altered = _is_altered(layer, step, parameters, run.key)

    def changed(ledger: Ledger) -> Ledger:
        entry = started.changed(number=ledger.next_number())
        earlier = ledger.entries.get(step.name)
        if earlier is not None and earlier.key == run.key:
            if more.get("resume"):
                run.again, run.kept = True, earlier.cleared
            if entry.blocks > 1 and earlier.blocks == entry.blocks:
                counts = {} if comm.rank in earlier.members else earlier.counts
                others = tuple(member for member in earlier.members if member != comm.rank)
                entry = entry.changed(members=others, counts=counts)
            if (more.get("resume") and not run.altered) or entry.blocks > 1:
                entry = entry.changed(cleared=earlier.cleared)
        return ledger.with_entry(entry)

    if layer.logs.is_dir():  # else there is nothing to take back, and a step that fails leaves nothing
        update(layer, changed, needed=True)
    return run


def _is_altered(layer: Layer, step: Step, parameters: Parameters, key: str) -> bool:
    """Whether somebody has changed what a complete run with this key has left; then its marks go at once.

    Else a run that is interrupted here would leave a step that is not complete, whose parts look worth keeping.
    """
    earlier = read_ledger(layer.ledger).entries.get(step.name)
    if earlier is None or earlier.key != key or not earlier.complete:
        return False
    altered = is_altered(layer, step, parameters, earlier)
    if altered and first_of(step.name) == step.name:
        files = step.outputs(layer, parameters.for_stage(step.reader))
        remove(*(marks_file(path) for paths in files.values() if len(paths) == 1 for path in paths))
    return altered


def _completed(
    layer: Layer,
    step: Step,
    parameters: Parameters,
    comm: Communicator,
    started: Entry,
    counts: dict[str, int],
    seconds: float,
) -> None:
    try:
        outputs = stamps_of(step.outputs(layer, parameters.for_stage(step.reader)))
    except MidasError as error:
        log.debug("%s is not recorded: %s", step.name, error)
        return

    def changed(ledger: Ledger) -> Ledger:
        entry = ledger.entries.get(step.name)
        if entry is None:
            entry = started.changed(number=ledger.next_number())
        if entry.key != started.key:  # another run has begun meanwhile
            return ledger
        if entry.blocks > 1:
            members = tuple(sorted({*entry.members, comm.rank}))
            entry = entry.changed(members=members, counts=whole_numbers([entry.counts, counts]))
            if len(members) < entry.blocks:
                return ledger.with_entry(entry)
        else:
            entry = entry.changed(counts=counts)
        return ledger.with_entry(entry.changed(state=COMPLETE, outputs=outputs, seconds=round(seconds, 3)))

    update(layer, changed)


def update(layer: Layer, change: Callable[[Ledger], Ledger], *, needed: bool = False) -> None:
    """Change the ledger of a layer, one process at a time. One that cannot be written is a warning.

    Parameters
    ----------
    needed : an entry that stayed as it is would vouch for files that change now, so that no ledger is better
    """
    try:
        make_folder(layer.logs)
        with _locked(layer):
            before = read_ledger(layer.ledger)
            after = change(before)
            if after is not before:
                after.write(layer.ledger)
    except (MidasError, OSError) as error:
        log.warning("the ledger is not kept, and -resume 1 will do this step again: %s", error)
        if needed:
            with suppress(OSError, MidasError):  # what cannot be removed cannot be changed either
                remove(layer.ledger)


@contextmanager
def _locked(layer: Layer) -> Iterator[None]:
    """Wait until no other process changes the ledger; where folders cannot be opened, it is taken as it comes."""
    try:
        folder = os.open(layer.logs, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        with one_at_a_time(folder):
            yield
    finally:
        os.close(folder)
