"""Where the messages of the suite go: nothing here is set up by importing it, and everything is undone at the end."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO

from midas.runtime.errors import OutputError, printable

#: the logger above all loggers of the suite
ROOT = logging.getLogger("midas")
log = logging.getLogger(__name__)


@contextmanager
def attached(handler: logging.Handler, level: int | None = None) -> Iterator[None]:
    """Messages also go to `handler` while the block runs; `level` is the lowest that counts anywhere."""
    before = ROOT.level
    ROOT.addHandler(handler)
    if level is not None:
        ROOT.setLevel(level)
    try:
        yield
    finally:
        ROOT.setLevel(before)
        ROOT.removeHandler(handler)
        handler.close()


@contextmanager
def file(path: Path) -> Iterator[None]:
    """Messages also go to a file, which takes the place of an earlier one, while the block runs.

    When it cannot be written any more, one warning says so and the work goes on: results have errors of their own.

    Raises
    ------
    OutputError : it cannot be made
    """
    handler = _File(path)
    handler.setFormatter(_Plain())
    heard = ROOT.getEffectiveLevel()
    if heard <= logging.INFO:
        with attached(handler):
            yield
    else:
        with attached(handler, logging.INFO), _only_to_parents_from(heard):
            yield


@contextmanager
def _only_to_parents_from(level: int) -> Iterator[None]:
    """A program that calls `midas.run` hears what its level says, not what the files of the steps want."""
    before = ROOT.propagate
    ROOT.propagate = False
    try:
        with attached(_Parents(level)) if before else nullcontext():
            yield
    finally:
        ROOT.propagate = before


class _File(logging.StreamHandler[IO[str]]):
    """A log file, made anew: where a link stands under its name, that is replaced and not followed."""

    def __init__(self, path: Path):
        self.path, self._lost = path, False
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        try:
            path.unlink(missing_ok=True)
            handle = os.open(path, flags, 0o666)
        except OSError as error:
            raise OutputError(f"cannot be written ({error.strerror})", file=path) from None
        super().__init__(os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape"))

    def emit(self, record: logging.LogRecord) -> None:
        if not self._lost:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of the library
        if isinstance(error := sys.exc_info()[1], OSError):
            self._lose(error)
        else:
            super().handleError(record)

    def close(self) -> None:
        try:
            self.stream.close()
        except OSError as error:
            self._lose(error)
        super().close()

    def _lose(self, error: OSError) -> None:
        first, self._lost = not self._lost, True
        if first:
            log.warning("%s: cannot be written (%s); the rest of this log is lost", self.path, error.strerror)


class _Console(logging.StreamHandler[IO[str]]):
    """A stream on which a message may be lost: where errors would go, nothing can be said either."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of the library
        if not isinstance(sys.exc_info()[1], OSError):
            super().handleError(record)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


class _Parents(logging.Handler):
    """Hands records on to the loggers above."""

    def emit(self, record: logging.LogRecord) -> None:
        (ROOT.parent or logging.getLogger()).handle(record)


_MUTING = threading.Lock()
_muted: Counter[str] = Counter()


@contextmanager
def muted(name: str) -> Iterator[None]:
    """No messages of one logger while the block runs, in any of the threads that may be in one."""
    logger = logging.getLogger(name)
    with _MUTING:
        _muted[name] += 1
        logger.disabled = True
    try:
        yield
    finally:
        with _MUTING:
            _muted[name] -= 1
            logger.disabled = _muted[name] > 0


@contextmanager
def silent() -> Iterator[None]:
    """No messages at all while the block runs: what it finds out will be said by whoever does it in earnest."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)


#: what this run has said: several stages of it may notice the same
_said: set[tuple[object, ...]] = set()


def first_time(*what: object) -> bool:
    """Whether this run says something for the first time."""
    if what in _said:
        return False
    _said.add(what)
    return True


@contextmanager
def one_run() -> Iterator[None]:
    """What the block and its surroundings have said so far will be said again after the block."""
    try:
        yield
    finally:
        _said.clear()


def _is_new(record: logging.LogRecord) -> bool:
    """Of equal warnings the user sees the first: the check and the conversion, say, both open the raw files."""
    return record.levelno < logging.WARNING or first_time("warning", record.getMessage())


def stdout() -> logging.Handler:
    """Messages of a command."""
    handler = _Console(sys.stdout)
    handler.setFormatter(_Plain())
    handler.addFilter(_is_new)
    return handler


def driver_stderr() -> logging.Handler:
    """Messages of the driver with the time; of its stages only warnings, the rest stands in their files."""
    handler = _Console(sys.stderr)
    handler.setFormatter(_Printable("%(asctime)s - MIDAS - %(levelname)s - %(message)s", "%Y-%m-%d %H:%M:%S"))
    handler.addFilter(lambda record: record.name.startswith(_DRIVER) or record.levelno >= logging.WARNING)
    handler.addFilter(_is_new)
    return handler


_DRIVER = ("midas.commands.run", "midas.pipeline.")


@contextmanager
def only_of(name: str) -> Iterator[None]:
    """On the console nothing but warnings and the messages of one logger and those below it, while the block runs."""
    consoles = [handler for handler in ROOT.handlers if isinstance(handler, _Console)]

    def passes(record: logging.LogRecord) -> bool:
        return record.name.startswith(name) or record.levelno >= logging.WARNING

    for handler in consoles:
        handler.addFilter(passes)
    try:
        yield
    finally:
        for handler in consoles:
            handler.removeFilter(passes)


class _Printable(logging.Formatter):
    """Messages as text that no terminal takes for commands; a warning is one line."""

    def format(self, record: logging.LogRecord) -> str:
        text = printable(super().format(record), "\n\t")
        return " ".join(text.split()) if record.levelno >= logging.WARNING else text


class _Plain(_Printable):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"warning: {text}" if record.levelno >= logging.WARNING else text


class Kept(logging.Handler):
    """Keeps the warnings of a process whose own output nobody sees."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())
