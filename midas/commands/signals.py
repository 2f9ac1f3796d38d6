"""What the signals that end a process do at its start, while it works, and at its end.

See docs/theory/conventions.md#interrupts. Nothing is imported here that takes time.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, ModuleType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """The scheduler of a cluster, or a closed terminal, ends the process: it tidies up as after Ctrl-C."""

    def __init__(self, number: int):
        self.signal = signal.Signals(number)


def what_ended(number: int) -> str:
    """How a message says that this signal ended a process."""
    return "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"


class Signals:
    """What the signals that end a process do: at its two ends they end it at once, in between they raise.

    A signal in the middle of an import raises once the import is over: extension modules do not survive an exception
    at any line of theirs. So does one whose exception a callback of a library has swallowed.
    """

    def __init__(self) -> None:
        self._raising = False
        self._silent = False
        self._advice = ""
        #: the descriptor of standard error
        self.errors = 2
        #: the kernel that ends the process, from when it can
        self._ending: ModuleType | None = None

    def listen(self) -> None:
        """Hear the signals that nobody ignores or hears already."""
        self._raising = False
        for number in _SIGNALS:
            if signal.getsignal(number) in (signal.default_int_handler, signal.SIG_DFL):
                signal.signal(number, self._heard)
        # The launchers block Ctrl-C from before the interpreter starts until somebody hears it, which is now.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def start_raising(self) -> None:
        """From now on there is somebody who catches the exceptions, and the end comes even if nobody does."""
        self._raising = True
        try:
            import midas._ext.numerics.ending as ending
        except ImportError:
            return  # kernels that are not built: the command will say so
        self._ending = ending
        sys.unraisablehook = self._unraisable
        self._watch()

    def _watch(self) -> None:
        """Tell the kernel what to say; nothing before it is there."""
        if self._ending is None:
            return
        lines = (f"{_program()}: {what_ended(number)}{self._advice}\n" for number in _SIGNALS)
        self._ending.watch(*(line.encode("utf-8", "backslashreplace") for line in lines))
        if self._silent:
            self._ending.say_nothing()

    def advise(self, advice: str) -> None:
        """What the line says besides, now that there is something to go on with."""
        self._advice = f"; {advice}" if advice else ""
        self._watch()

    def number_of(self, interrupt: KeyboardInterrupt) -> int:
        """The signal behind an exception: a kernel in a thread cannot tell which one it was."""
        if self._ending is not None and (number := int(self._ending.heard())):
            return number
        return interrupt.signal if isinstance(interrupt, Ended) else signal.SIGINT

    def line(self, number: int) -> str:
        """What to say after a signal."""
        return what_ended(number) + self._advice

    def say_nothing(self) -> None:
        """The line has been said, or another process says it."""
        self._silent = True
        if self._ending is not None:
            self._ending.say_nothing()

    def stop_raising(self) -> None:
        """All is done, and nobody catches exceptions any more."""
        self._raising = False

    def let_go(self, *numbers: int) -> None:
        """Signals that may end the process without a word."""
        for number in numbers:
            if signal.getsignal(number) == self._heard:
                # Not SIG_DFL at once: one that has come and is not handled yet would be reported as lost.
                signal.signal(number, _end)

    def _heard(self, number: int, frame: FrameType | None) -> None:
        if not self._raising:
            # Of the ranks of a launcher, which ends all alike, mostly one has failed and said why.
            if not self._silent and not (number != signal.SIGINT and _is_rank()):
                os.write(self.errors, f"{_program()}: {self.line(number)}\n".encode("utf-8", "backslashreplace"))
            os._exit(128 + number)
        if self._ending is not None and _is_importing(frame):
            self._ending.again()
            return
        raise KeyboardInterrupt if number == signal.SIGINT else Ended(number)

    def _unraisable(self, what: sys.UnraisableHookArgs) -> None:
        """An exception in a place that can raise none: that of a signal is raised once more, a moment later."""
        if isinstance(what.exc_value, KeyboardInterrupt) and self._raising and self._ending is not None:
            self._ending.again()
        else:
            sys.__unraisablehook__(what)


def _end(number: int, _: FrameType | None) -> None:
    """End the process by the signal itself, as if nobody had heard it."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


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
    size = getattr(parallel, "launched_size", None)  # it may be half imported
    return size is not None and bool(size() > 1)


def _program() -> str:
    """What the process was called by: ``python -m midas NAME ...`` says it in the first word."""
    name = os.path.basename(sys.argv[0]).removesuffix(".exe")
    return sys.argv[1] if name in ("__main__.py", "-c", "-m") and len(sys.argv) > 1 else name


SIGNALS = Signals()
