"""Signals that arrive while a kernel works."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import numpy as np
import pytest

from midas._ext.peaks.fit import solve_regions
from midas._ext.peaks.frame_regions import Regions

NO_PANELS = np.empty((0, 8))


def regions(count: int, side: int = 32) -> Regions:
    """Squares with 16 peaks each; the joint fit of one takes half a second or so."""
    y, z = (part.ravel() for part in np.meshgrid(np.arange(side), np.arange(side), indexing="ij"))
    counts = 100 + 50 * (np.cos(2 * np.pi * (y - 4) / 8) + np.cos(2 * np.pi * (z - 4) / 8))
    counts += np.random.default_rng(2).random(counts.shape)
    maxima = np.flatnonzero((y % 8 == 4) & (z % 8 == 4))
    return Regions(
        count, count, np.tile(y, count).astype(np.int16), np.tile(z, count).astype(np.int16), np.tile(counts, count),
        len(y) * np.arange(count + 1), np.full(count, 10.0), np.tile(maxima, count).astype(np.int32),
        len(maxima) * np.arange(count + 1),
    )  # fmt: skip


def work(threads: int = 1) -> None:
    """Minutes of it."""
    solve_regions(regions(100), 500.0, 500.0, NO_PANELS, threads=threads)


class Ended(Exception):
    """What a handler of a user raises."""


def end(number: int, frame: FrameType | None) -> NoReturn:
    raise Ended


def note(number: int, frame: FrameType | None) -> None:
    """A handler that goes on."""


@contextmanager
def handled(number: int, handler: object) -> Iterator[None]:
    before = signal.signal(number, handler)  # type: ignore[arg-type]
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def signalled(number: int, after: float = 0.3) -> Iterator[None]:
    """The block must end soon after the signal."""
    timer = threading.Timer(after, os.kill, (os.getpid(), number))
    started = time.monotonic()
    timer.start()
    try:
        yield
    finally:
        timer.join()
    assert time.monotonic() - started < after + 2.0


@pytest.mark.parametrize("threads", [1, 3])
def test_the_handler_of_ctrl_c_raises_its_exception(threads: int) -> None:
    with (
        handled(signal.SIGINT, signal.default_int_handler),
        signalled(signal.SIGINT),
        pytest.raises(KeyboardInterrupt),
    ):
        work(threads)


@pytest.mark.parametrize(
    ("number", "handler", "raised"),
    [(signal.SIGTERM, end, Ended), (signal.SIGHUP, end, Ended), (signal.SIGTERM, note, KeyboardInterrupt)],
)
def test_handlers_of_a_user(number: int, handler: object, raised: type[BaseException]) -> None:
    with handled(number, handler), signalled(number), pytest.raises(raised):
        work()


def test_a_kernel_in_a_thread_ends_too() -> None:
    with (
        handled(signal.SIGINT, signal.default_int_handler),
        ThreadPoolExecutor(1) as pool,
        signalled(signal.SIGINT),
    ):
        running = pool.submit(work)
        with pytest.raises(KeyboardInterrupt):
            running.result()
        assert isinstance(running.exception(timeout=2), KeyboardInterrupt)


def test_ignored_signals_stay_ignored_and_afterwards_all_is_as_before() -> None:
    one = regions(1, 16)
    expected = solve_regions(one, 500.0, 500.0, NO_PANELS)
    with handled(signal.SIGHUP, signal.SIG_IGN), handled(signal.SIGINT, signal.default_int_handler):
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGHUP)).start()
        with signalled(signal.SIGINT, 0.8), pytest.raises(KeyboardInterrupt):
            work()
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        assert solve_regions(one, 500.0, 500.0, NO_PANELS).tobytes() == expected.tobytes()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
