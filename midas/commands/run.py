"""How every command starts and ends: messages, the closing table, errors in one line, exit codes, ranks of MPI.

Nothing heavy is imported here, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from numbers import Integral
from pathlib import Path
from typing import NoReturn

from midas.commands import surroundings
from midas.commands.holding import until_end
from midas.commands.names import MODULES, program
from midas.commands.program import Program, parse
from midas.commands.signals import SIGNALS
from midas.runtime import logs, parallel, provenance, streams
from midas.runtime.errors import IncompleteError, MidasError, UsageError, printable, shown

log = logging.getLogger(__name__)


def print_table(rows: Mapping[str, object]) -> None:
    """The closing table of a command."""
    width = max((len(label) for label in rows), default=0)
    for label, value in rows.items():
        print(f"{label:<{width}}  {printable(str(value))}")


def run(name: str, argv: Sequence[str]) -> int:
    """Run the command called `name`; the exit code. Errors of the user become one line on stderr."""
    try:
        called = program(name)
        if argv and argv[0] in called.parts:
            called, name, argv = program(called.parts[argv[0]]), f"{name} {argv[0]}", argv[1:]
        values = parse(called, name, argv)
        SIGNALS.advise("" if values.words else called.interrupted)
        shared = called.shared and getattr(values, "blockNr", None) is None and not values.words
        if parallel.launched_rank() == 0 or shared:
            _run(called, values, parallel.communicator() if shared else parallel.SERIAL)
        sys.stdout.flush()
    except MidasError as error:
        return _fail(name, *error.lines, code=error.exit_code)
    except KeyboardInterrupt as interrupt:
        return _interrupted(name, interrupt)
    except Exception as error:
        if reason := _of_surroundings(error):
            return _fail(name, reason, code=1)
        # A defect: Python shows it at the end of the process, which ranks that wait for this one would never let come.
        if parallel.launched_size() > 1:
            traceback.print_exc()
            parallel.abort(1)
        surroundings.finish()
        raise
    return 0


def _run(called: Program, values: argparse.Namespace, comm: parallel.Communicator) -> None:
    """What one process does; of several, the first one speaks for all."""
    kept = logs.Kept()
    console = logs.driver_stderr() if called.console == "stderr" else logs.stdout()
    level = logging.DEBUG if values.verbose else logging.INFO
    with logs.attached(kept, level), logs.attached(console) if comm.rank == 0 else nullcontext():
        if values.surplus and comm.rank == 0:
            log.warning("ignored: %s", " ".join(values.surplus))
        incomplete = None
        try:
            with logs.one_run(), provenance.called(shlex.join([values.name, *values.argv])), until_end():
                result = called.run(values)
        except IncompleteError as error:
            result, incomplete = error.result, error
        everybody = comm.gather((kept.messages[:], {} if result is None else result.summary))
        if everybody is None:
            _end_with(incomplete)
            return
        said, *others = [messages for messages, _ in everybody]
        for message in dict.fromkeys(message for messages in others for message in messages):
            if message not in said:
                log.warning("%s", message)
        print_table(_joined([rows for _, rows in everybody]) if others else everybody[0][1])
        if called.closing and incomplete is None:
            print(called.closing)
        _end_with(incomplete)


def _end_with(error: IncompleteError | None) -> None:
    """The failure of a run that is otherwise complete, once all has been said about the rest."""
    if error is not None:
        raise error


def _joined(tables: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """One closing table of those of all ranks: numbers of things add up, anything else is listed."""
    joined: dict[str, object] = {}
    for label in dict.fromkeys(label for table in tables for label in table):
        values = [table[label] for table in tables if label in table]
        numbers = [int(value) for value in values if isinstance(value, Integral)]
        joined[label] = sum(numbers) if len(numbers) == len(values) else ", ".join(dict.fromkeys(map(str, values)))
    return joined


def _of_surroundings(error: Exception) -> str | None:
    """What to say about an error that is no defect of the program."""
    if reason := surroundings.explained(error):
        return reason
    if isinstance(error, ImportError) and error.name == "midas._ext":
        return str(error)
    if isinstance(error, OSError):
        place = f"{shown(os.fsdecode(error.filename))}: " if isinstance(error.filename, (str, bytes)) else ""
        return f"{place}{error.strerror or error}"
    return None


def _interrupted(name: str, interrupt: KeyboardInterrupt) -> int:
    """Say it in a line, and how to go on; the exit code."""
    number = SIGNALS.number_of(interrupt)
    if parallel.launched_size() > 1 and (number != signal.SIGINT or parallel.launched_rank() > 0):
        # The launcher ends all ranks alike, mostly because one of them has failed and said why.
        parallel.leave(128 + number)
    return _fail(name, SIGNALS.line(number), code=128 + number)


#: exit codes after a signal
_INTERRUPTED = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))

#: seconds that a rank leaves to those before it, which mostly have the same to say and end the run with it
_PATIENCE = 0.5


def _fail(name: str, *messages: str, code: int) -> int:
    """Say what is wrong, once, and end the other ranks."""
    sys.stdout.flush()
    _end_at_once_when_ended()
    time.sleep(min(_PATIENCE * parallel.launched_rank(), 5.0))
    SIGNALS.say_nothing()
    for message in messages:
        print(f"{name}: {' '.join(printable(message).split())}", file=sys.stderr, flush=True)
    parallel.abort(code)
    return code


def _end_at_once_when_ended() -> None:
    """Of several ranks, one with nothing left to tidy up ends without a word, as the launcher wants."""
    SIGNALS.stop_raising()
    if parallel.launched_size() > 1:
        SIGNALS.let_go(signal.SIGTERM, signal.SIGHUP)


def main() -> NoReturn:
    """Run the command that the process was called by, and end the process; `midas.commands.entry` calls it."""
    name, argv = Path(sys.argv[0]).name.removesuffix(".exe"), sys.argv[1:]
    if name not in MODULES and argv:
        name, argv = argv[0], argv[1:]
    if name == "__main__.py":
        names = ", ".join(sorted(MODULES))
        print(f"midas: name a command: python -m midas NAME ...; there are {names}", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    if name not in MODULES:
        print(f"midas: no command is called {name}; there are {', '.join(sorted(MODULES))}", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    output = streams.prepare()
    surroundings.prepare(name)
    try:
        SIGNALS.start_raising()
        code = run(name, argv)
    except SystemExit as ending:  # of argparse: help, versions, wrong options
        code = int(ending.code or 0)
    except KeyboardInterrupt as interrupt:  # before `run` could hear it
        code = _interrupted(name, interrupt)
    except MemoryError:  # not even enough to say so, before what `run` held was free again
        code = _fail(name, "not enough memory", code=1)
    if code in _INTERRUPTED:
        parallel.leave(code)  # what a regular end would wait for is of no use any more
    _end_at_once_when_ended()
    surroundings.finish()
    if output.error is not None and code == 0:
        code = _fail(name, f"standard output: {output.error.strerror}", code=1)
    if parallel.launched_size() == 1:
        # The interpreter takes a tenth of a second to take itself apart, in which nobody hears signals properly.
        parallel.leave(code)
    sys.exit(code)  # MPI is ended by the interpreter's end, which ranks wait for
