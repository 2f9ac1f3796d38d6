"""The end that comes whatever the main thread does (docs/theory/conventions.md#interrupts)."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from midas._ext.numerics.threads import startable

#: files of the user that no end removes, though their names are much like those of parts
THEIRS = ("read.0123abcd.part", ".x.part.h5", "x.part", "x.0123ABCD.part", "x.0123abc.part", "0123abcd.part")

#: works in C without coming back to the interpreter, holds its lock, and has a part file open
STUCK = f"""
THEIRS = {THEIRS}
import itertools, os, signal, sys
from midas.commands.signals import SIGNALS
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)
sys.argv = ["/usr/bin/ff-index"]
SIGNALS.listen()
SIGNALS.start_raising()
SIGNALS.advise("go on")
whole, part = open("whole.csv", "w"), open("result.csv.0123abcd.part", "w")
theirs = [open(name, "rb" if name.startswith("read") else "r+b") for name in THEIRS]
os.write(1, b"ready")
sum(itertools.repeat(1, 10**11))
"""


def stuck(folder: Path, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    for name in THEIRS:
        (folder / name).write_bytes(b"not ours")
    command = [sys.executable, "-P", "-c", STUCK]
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.read(5) == b"ready"
    time.sleep(0.05)
    return process


def last_words(process: subprocess.Popen[bytes]) -> bytes:
    try:
        return process.communicate(timeout=30)[1]
    finally:
        process.kill()


@pytest.mark.parametrize(
    ("by", "said"),
    [(signal.SIGINT, b"interrupted"), (signal.SIGTERM, b"ended by SIGTERM"), (signal.SIGHUP, b"ended by SIGHUP")],
)
def test_main_thread_that_does_not_come_back(
    by: signal.Signals, said: bytes, tmp_path: Path, environment: dict[str, str]
) -> None:
    process = stuck(tmp_path, environment)
    sent = time.monotonic()
    process.send_signal(by)
    errors = last_words(process)
    assert (process.returncode, errors) == (128 + by, b"ff-index: " + said + b"; go on\n")
    assert 1.0 < time.monotonic() - sent < 2.0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*THEIRS, "whole.csv"])


def test_second_signal_ends_at_once(tmp_path: Path, environment: dict[str, str]) -> None:
    process = stuck(tmp_path, environment)
    process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    sent = time.monotonic()
    process.send_signal(signal.SIGINT)
    errors = last_words(process)
    assert (process.returncode, errors) == (130, b"ff-index: interrupted; go on\n")
    assert time.monotonic() - sent < 0.5
    assert not (tmp_path / "result.csv.0123abcd.part").exists()


SWALLOWED = """
import os, signal, sys, time, weakref
from midas.commands.signals import SIGNALS
signal.signal(signal.SIGINT, signal.default_int_handler)
SIGNALS.listen()
SIGNALS.start_raising()
SIGNALS.advise("go on")
class Thing:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGINT)
        for _ in range(1000):
            pass
try:
    thing = Thing()
    del thing
    started = time.monotonic()
    time.sleep(5)
except KeyboardInterrupt:
    print("raised", time.monotonic() - started < 0.5)
"""


def test_exception_that_a_callback_swallows_is_raised_again(tmp_path: Path, environment: dict[str, str]) -> None:
    command = [sys.executable, "-P", "-c", SWALLOWED]
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, timeout=30, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"raised True\n", b"")


APART = """
import itertools, sys
from pathlib import Path
from midas.runtime.apart import apart
print("ready", flush=True)
apart(lambda: sum(itertools.repeat(1, 10**11)), Path("x"))
"""


def test_a_process_ends_with_the_one_that_has_started_it(tmp_path: Path, environment: dict[str, str]) -> None:
    """However that one ends; the pipe of standard error is closed when nobody is left."""
    command = [sys.executable, "-P", "-c", APART]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(0.5)
    sent = time.monotonic()
    process.kill()
    assert process.communicate(timeout=30) == (b"", b"")
    assert time.monotonic() - sent < 2.0


def test_threads_that_can_be_started() -> None:
    assert [startable(count) for count in (0, 1, 5)] == [0, 1, 5]
