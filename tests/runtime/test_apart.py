"""Work in a process of its own: results, errors and messages come back; crashes, loops and memory end there."""

from __future__ import annotations

import ctypes
import errno
import logging
import os
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from midas.runtime import apart as module
from midas.runtime.apart import apart, stream
from midas.runtime.errors import FormatError, UsageError

FILE = Path(__file__)


def test_results_arrays_and_messages(caplog: pytest.LogCaptureFixture) -> None:
    def work() -> tuple[int, np.ndarray]:
        logging.getLogger("midas.somewhere").warning("%s says this", "another process")
        return os.getpid(), np.arange(1_000_000)

    process, values = apart(work, FILE)
    assert process != os.getpid() and (values == np.arange(1_000_000)).all() and values.flags.writeable
    assert caplog.messages == ["another process says this"]


def test_items_come_one_by_one_and_the_rest_is_not_made() -> None:
    items = stream(lambda: (np.full(10, i) for i in count()), FILE)
    assert [int(next(items)[0]) for _ in range(3)] == [0, 1, 2]
    items.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_errors_of_the_user_come_back_as_they_are() -> None:
    def work() -> None:
        raise UsageError("is wrong", file="a.txt", line=3, key="Lsd", value=-1)

    with pytest.raises(UsageError) as caught:
        apart(work, FILE)
    assert str(caught.value) == "a.txt, line 3: Lsd: -1: is wrong"


def _forever() -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("work", "reason"),
    [
        (lambda: ctypes.string_at(0), r"crash \(SIGSEGV\)"),
        (os.abort, r"crash \(SIGABRT\)"),
        (_forever, "does not come to an end"),
        (lambda: bytearray(1 << 33), "needs more memory than a file of its size may ask for"),
        (lambda: 1 / 0, r"cannot be read \(division by zero\)"),
    ],
)
def test_what_ends_a_process(monkeypatch: pytest.MonkeyPatch, work, reason: str) -> None:
    monkeypatch.setattr(module, "SECONDS", 0)
    with pytest.raises(FormatError, match=reason) as caught:
        apart(work, FILE)
    assert caught.value.file == str(FILE) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["fork", "pipe"])
def test_no_process_or_pipe_is_left(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def failing() -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before = sorted(os.listdir("/dev/fd"))
    monkeypatch.setattr(os, name, failing)
    with pytest.raises(FormatError, match="no process can be started for it") as caught:
        apart(os.getpid, FILE)
    assert caught.value.file == str(FILE)
    assert sorted(os.listdir("/dev/fd")) == before
    monkeypatch.undo()
    assert apart(os.getpid, FILE) != os.getpid()


def test_work_within_such_a_process_is_done_there() -> None:
    def outer() -> list[int]:
        return [os.getpid(), apart(os.getpid, FILE)]

    inner: Iterator[int] = iter(apart(outer, FILE))
    assert next(inner) == next(inner) != os.getpid()


@pytest.mark.parametrize("stuck", [1, 3])
def test_a_process_that_is_stuck_in_its_fork(monkeypatch: pytest.MonkeyPatch, stuck: int) -> None:
    """As with a lock that another thread held: it never begins."""
    fork, begun = os.fork, count(1)

    def forked() -> int:
        number, process = next(begun), fork()
        while process == 0 and number <= stuck:
            time.sleep(1)
        return process

    before = sorted(os.listdir("/dev/fd"))
    monkeypatch.setattr(module, "_STARTING", 0.3)
    monkeypatch.setattr(os, "fork", forked)
    if stuck == 3:
        with pytest.raises(FormatError, match="the process that reads it does not start"):
            apart(os.getpid, FILE)
    else:
        assert apart(os.getpid, FILE) != os.getpid()
    assert sorted(os.listdir("/dev/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)
