"""What the signals that end a process do at its start, while it works, and at its end.

See docs/theory/conventions.md#interrupts. Nothing is imported here that takes time.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import FrameType

#: seconds until a signal that came during an import is looked at again
_SOON = 0.01

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """The scheduler of a cluster, or a closed terminal, ends the process: it tidies up as after Ctrl-C."""

    def __init__(self, number: int):
        self.signal = signal.Signals(number)


class Signals:
    """What the signals that end a process do: at its two ends they end it at once, in between they raise.

    A signal in the middle of an import raises once the import is over: extension modules do not survive an exception
    at any line of theirs.
    """

    def __init__(self) -> None:
        self._raising = False
        self._waiting: int | None = None

    def listen(self) -> None:
        """Hear the signals that nobody ignores or hears already; SIGTERM and SIGHUP once there is something to tidy."""
        self._raising = False
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._heard)

    def start_raising(self) -> None:
        """From now on there is somebody who catches the exceptions."""
        for number in _SIGNALS[1:]:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, self._heard)
        self._raising = True

    def stop_raising(self) -> None:
        """All is done, and nobody catches exceptions any more."""
        self._raising = False

    def let_go(self, *numbers: int) -> None:
        """Signals that may end the process without a word."""
        for number in numbers:
            if signal.getsignal(number) == self._heard:
                signal.signal(number, signal.SIG_DFL)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGALRM:
            number, self._waiting = self._waiting or number, None
        if not self._raising:
            said = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
            if number != signal.SIGINT and _is_rank():
                os._exit(128 + number)  # the launcher ends all ranks alike, mostly because one has failed and said why
            os.write(2, f"{_program()}: {said}\n".encode("utf-8", "backslashreplace"))
            os._exit(128 + number)
        if _is_importing(frame):
            self._waiting = number
            signal.signal(signal.SIGALRM, self._heard)
            signal.setitimer(signal.ITIMER_REAL, _SOON)
            return
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(number)


def _is_importing(frame: FrameType | None) -> bool:
    """Whether this frame, or one that has called it, is that of an import."""
    while frame is not None:
        if "importlib._bootstrap" in frame.f_code.co_filename:
            return True
        frame = frame.f_back
    return False


def _is_rank() -> bool:
    """Whether the process is one of several that a launcher started; known once there is something to tidy."""
    parallel = sys.modules.get("midas.runtime.parallel")
    return parallel is not None and bool(parallel.launched_size() > 1)


def _program() -> str:
    """What the process was called by: ``python -m midas NAME ...`` says it in the first word."""
    name = os.path.basename(sys.argv[0]).removesuffix(".exe")
    return sys.argv[1] if name == "__main__.py" and len(sys.argv) > 1 else name


SIGNALS = Signals()
