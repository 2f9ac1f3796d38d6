"""One exception type per kind of cause; the command line turns each into one line on stderr."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from midas.runtime.result import StageResult


#: letters of a name or value in a message
_MOST_SHOWN = 400


def printable(text: str, breaks: str = "") -> str:
    """The text with escapes for what begins a line, colours a terminal or cannot be printed: names in files have it."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in breaks else repr(c)[1:-1] for c in text)


def shown(value: object) -> str:
    """A name or a value as part of a message of one line; of a long one the beginning."""
    text = str(value)
    if len(text) > _MOST_SHOWN:
        text = f"{text[:_MOST_SHOWN]} ... ({len(text)} letters)"
    return printable(text)


class MidasError(Exception):
    """A mistake in the user's input or surroundings, never a defect of the program.

    Parameters
    ----------
    reason : what is wrong and, where it is not plain, what to do about it.
    file, line, key, value : where it is wrong; each is printed when given.
    """

    exit_code = 1
    #: what may divide the lines of a message
    _breaks = ""

    def __init__(
        self,
        reason: str,
        *,
        file: str | os.PathLike[str] | None = None,
        line: int | None = None,
        key: str | None = None,
        value: object = None,
    ):
        self.reason = reason
        self.file = None if file is None else os.fspath(file)
        self.line = line
        self.key = key
        self.value = value
        place = []
        if self.file is not None:
            place.append(shown(self.file) if line is None else f"{shown(self.file)}, line {line}")
        place += [shown(part) for part in (key, value) if part is not None]
        super().__init__(printable(": ".join([*place, reason]), self._breaks))
        self.lines: tuple[str, ...] = (str(self),)


class UsageError(MidasError):
    """A command line that does not fit the command."""

    exit_code = 2


class ParameterError(MidasError):
    """A missing, unreadable or impossible parameter."""


class Mistakes(ParameterError):
    """Several mistakes at once, each a line of its own on stderr.

    Parameters
    ----------
    lines : a sentence for each
    """

    _breaks = "\n"

    def __init__(self, lines: Sequence[str]):
        shown_lines = tuple(printable(line) for line in lines)
        super().__init__("\n".join(shown_lines))
        self.lines = shown_lines


class ArchiveError(MidasError):
    """A ``.MIDAS.zip`` that cannot be read as one."""


class FormatError(MidasError):
    """A table or binary file that does not have the layout it must have."""


class OutputError(MidasError):
    """A result that cannot be written."""


class StageError(MidasError):
    """Readable input on which a stage cannot produce a result."""


class NothingFoundError(StageError):
    """Input in which there is nothing: no spots, no seeds, no crystals. `nothing` says it in a few words."""

    def __init__(self, reason: str, *, nothing: str, file: str | os.PathLike[str] | None = None):
        super().__init__(reason, file=file)
        self.nothing = nothing


class IncompleteError(StageError):
    """Some of several layers failed; `result` is the `StageResult` of the others, whose summary lists all of them."""

    def __init__(self, reason: str, result: StageResult[Any]):
        super().__init__(reason)
        self.result = result


def one_line(error: BaseException) -> str:
    """What a library says about a file, as part of a message of our own."""
    return " ".join(str(error).split()) or type(error).__name__


@contextmanager
def exiting_with(code: int, kind: type[MidasError] = MidasError) -> Iterator[None]:
    """Errors of that kind in the block end the command with this exit code; for commands whose codes scripts know."""
    try:
        yield
    except kind as error:
        error.exit_code = code
        raise
