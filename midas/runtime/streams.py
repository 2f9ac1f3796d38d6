"""Standard streams that do not end a run: their reader may leave, their encoding may lack the letters of a path."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper
from typing import TextIO


class LastingOutput:
    """Standard output of a command whose results are files.

    When it cannot be written any more, what follows goes nowhere and the work goes on: ``| head -1`` has read enough,
    and a full disk is an error to report at the end, in `error`.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError as error:
            self._divert(error)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError as error:
            self._divert(error)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)

    def _divert(self, error: OSError) -> None:
        if not isinstance(error, BrokenPipeError):
            self.error = self.error or error
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), self._stream.fileno())
        self._stream.flush()


def prepare() -> LastingOutput:
    """Make the standard streams of this process fit for anything that a message may hold."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started the process
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - as long as the process lives
    codecs.register_error("midas.bytes_or_escape", _bytes_or_escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="midas.bytes_or_escape")
    output = LastingOutput(sys.stdout)
    sys.stdout = output
    return output


def _bytes_or_escape(error: UnicodeError) -> tuple[bytes, int]:
    """What an encoding cannot show: odd bytes of a path as they are on the disk, letters it lacks as ``\\u....``."""
    assert isinstance(error, UnicodeEncodeError)
    unknown = error.object[error.start : error.end]
    shown = [
        bytes([ord(letter) - 0xDC00]) if 0xDC80 <= ord(letter) <= 0xDCFF else letter.encode("ascii", "backslashreplace")
        for letter in unknown
    ]
    return b"".join(shown), error.end
