"""Too little memory and no further threads, in one line (docs/theory/conventions.md#memory-threads-and-disk)."""

from __future__ import annotations

import _thread
import errno
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_scan import TinyScan

import midas._ext.numerics.threads as threads
from midas.commands import surroundings
from midas.runtime import parallel, room
from midas.runtime.errors import MidasError

MEMORY = "not enough memory; a smaller -nCPUs needs less"
THREADS = "no more threads can be started here; give a smaller -nCPUs, or raise the limit (ulimit -u)"


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__context__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), MEMORY),
        (ImportError("libscipy_openblas.so: failed to map segment from shared object"), MEMORY),
        (caused(ImportError("numpy cannot be imported"), ImportError("x.so: cannot allocate memory")), MEMORY),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), MEMORY),
        (RuntimeError("Unable to synchronously create dataset (memory allocation failed)"), MEMORY),
        (RuntimeError("std::bad_alloc"), MEMORY),
        (RuntimeError("can't start new thread"), THREADS),
        (ValueError("a defect"), None),
        (OSError(errno.ENOSPC, "No space left on device"), None),
    ],
)
def test_what_libraries_say(error: BaseException, said: str | None) -> None:
    assert surroundings.explained(error) == said


def test_address_space_that_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "address_space", lambda: (500_000_000, 450_000_000))
    said = (
        "not enough memory: 500 MB of address space are allowed (ulimit -v); raise the limit, or give a smaller -nCPUs"
    )
    assert surroundings.explained(SystemError("error return without exception set")) == said
    monkeypatch.setattr(room, "address_space", lambda: (500_000_000, 100_000_000))
    assert surroundings.explained(SystemError("error return without exception set")) is None


def test_threads_that_cannot_start(
    scan: TinyScan, tmp_path: Path, in_process: Callable[..., int], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def refuse(*_: object, **__: object) -> int:
        raise RuntimeError("can't start new thread")

    name = "_start_joinable_thread" if hasattr(_thread, "_start_joinable_thread") else "_start_new_thread"
    monkeypatch.setattr(f"threading.{name}", refuse)
    assert in_process("ff-hkls", scan.archive, tmp_path, cwd=tmp_path) == 0
    assert in_process("PeaksFittingOMPZarrRefactor", scan.archive, 0, 1, 3, tmp_path, cwd=tmp_path) == 1
    assert capsys.readouterr().err == f"PeaksFittingOMPZarrRefactor: {THREADS}\n"


def test_openmp_that_would_end_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    parallel._check_threads.cache_clear()
    monkeypatch.setattr(threads, "startable", lambda count: count - 2)
    with pytest.raises(MidasError, match="only 14 of 16 threads can be started here; give a smaller -nCPUs"):
        parallel.thread_count(16)
    assert parallel.thread_count(1) == 1


@pytest.mark.parametrize("megabytes", [60, 130])
def test_limited_address_space(megabytes: int, scan: TinyScan, tmp_path: Path, environment: dict[str, str]) -> None:
    """Too little for numpy, and for what comes after it."""
    limit = megabytes * 10**6
    ended = subprocess.run(
        [sys.executable, "-P", "-m", "midas", "ff-look", scan.archive], cwd=tmp_path, env=environment, timeout=60,
        capture_output=True, text=True, check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    said = f"not enough memory: {megabytes} MB of address space are allowed (ulimit -v)"
    assert (ended.returncode, ended.stderr) == (1, f"ff-look: {said}; raise the limit, or give a smaller -nCPUs\n")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extension", ["numpy", "scipy.linalg"])
def test_linear_algebra_has_its_memory_once_it_is_there(extension: str, environment: dict[str, str]) -> None:
    """OpenBLAS takes a buffer with its first product, and would ask for ever where it gets none."""
    code = f"""
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 40, 1 << 40))
from midas.commands import entry, surroundings
surroundings.prepare("test")
import {extension}
import numpy as np
from midas.runtime import room
used = room.address_space()[1] + (1 << 20)
resource.setrlimit(resource.RLIMIT_AS, (used, used))
square = np.ones((64, 64))
product = square @ square if "{extension}" == "numpy" else sys.modules["scipy.linalg"].blas.dgemm(1.0, square, square)
print(product[0, 0])
surroundings.finish()
"""
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, timeout=60, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "64.0\n", "")
