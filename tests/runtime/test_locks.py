"""One run a folder: who is second is told who is first; nothing is left of a run that was killed."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from midas.runtime import locks
from midas.runtime.errors import OutputError
from midas.runtime.locks import LOCK, InUseError, folder_lock, holder

HOLDS = """
import sys, time
from midas.runtime.locks import folder_lock
with folder_lock(sys.argv[1], "ff-first", work=sys.argv[2]):
    print("held", flush=True)
    time.sleep(60)
"""


def holding(folder: Path, work: str = "") -> subprocess.Popen[str]:
    """A process that holds the folder."""
    command = [sys.executable, "-c", HOLDS, str(folder), work]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end(process: subprocess.Popen[str], by: int = signal.SIGKILL) -> None:
    process.send_signal(by)
    process.communicate(timeout=20)


def test_the_second_run_is_told_who_is_first(tmp_path: Path) -> None:
    first = holding(tmp_path)
    try:
        found = holder(tmp_path)
        assert found is not None
        assert (found.command, found.pid) == ("ff-first", first.pid)
        started = time.monotonic()
        with pytest.raises(InUseError) as error, folder_lock(tmp_path, "ff-second"):
            pass
        assert time.monotonic() - started < 1
        assert str(tmp_path) in str(error.value)
        assert f"in use by ff-first (pid {first.pid} of " in str(error.value)
        assert len(str(error.value).splitlines()) == 1
        with pytest.raises(InUseError), folder_lock(tmp_path, "ff-second", work="blocks of something"):
            pass
    finally:
        end(first)
    assert (tmp_path / LOCK).exists(), "killed: its file is left, its lock is not"
    assert holder(tmp_path) is None
    with folder_lock(tmp_path, "ff-second"):
        assert json.loads((tmp_path / LOCK).read_text())["command"] == "ff-second"
    assert not (tmp_path / LOCK).exists()


def test_blocks_of_a_stage_work_side_by_side(tmp_path: Path) -> None:
    first = holding(tmp_path, "blocks of the indexing")
    try:
        with folder_lock(tmp_path, "ff-second", work="blocks of the indexing"):
            with pytest.raises(InUseError, match="ff-first"):
                locks._acquired(tmp_path, locks._this_process("ff-third", ""))
            with pytest.raises(InUseError, match="ff-first"):
                locks._acquired(tmp_path, locks._this_process("ff-third", "blocks of the refinement"))
            end(first)
            with pytest.raises(InUseError, match="ff-second"):  # the first one is gone
                locks._acquired(tmp_path, locks._this_process("ff-third", ""))
    finally:
        end(first)
    assert not (tmp_path / LOCK).exists(), "the last one has removed it"


def test_a_run_may_hold_its_folder_several_times(tmp_path: Path) -> None:
    with folder_lock(tmp_path / "new", "ff-midas"), folder_lock(tmp_path / "new" / "..", "ff-x"):
        with folder_lock(tmp_path / "new", "ff-geometry"):
            assert (tmp_path / "new" / LOCK).exists()
        assert holder(tmp_path / "new") is not None
        refused = []

        def other() -> None:
            with pytest.raises(InUseError), folder_lock(tmp_path / "new", "ff-midas"):
                pass
            refused.append(True)

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
        assert refused == [True]
    assert holder(tmp_path / "new") is None


def test_copies_of_the_process_do_not_keep_it(tmp_path: Path) -> None:
    """A child that lives longer than the run: nobody waits for it."""
    with folder_lock(tmp_path, "ff-midas"):
        child = os.fork()
        if not child:
            time.sleep(30)
            os._exit(0)
    try:
        with folder_lock(tmp_path, "ff-midas"):
            pass
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOTSUP])
def test_a_file_system_without_locks(
    tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with folder_lock(tmp_path, "ff-midas"):
        assert holder(tmp_path) is None
    assert f"{tmp_path} has no locks ({os.strerror(number)})" in caplog.text


def test_a_full_disk_keeps_nobody_from_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    monkeypatch.setattr(locks, "_TRIES", 2)
    with folder_lock(tmp_path, "ff-midas"), pytest.raises(InUseError, match="has not said its name"):
        locks._acquired(tmp_path, locks._this_process("ff-second", ""))


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / LOCK).mkdir()
    with pytest.raises(OutputError, match=r"\.midas\.lock: cannot be written"), folder_lock(tmp_path, "ff-midas"):
        pass
    (tmp_path / "link").mkdir()
    (tmp_path / "link" / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputError), folder_lock(tmp_path / "link", "ff-midas"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_what_a_lock_file_says_is_no_more_than_words(tmp_path: Path) -> None:
    first = holding(tmp_path)
    try:
        for content in (b"", b"\xff\xfe[", b"[1]\n", b'{"command": 1}\n', b'{"a"' * 1000):
            (tmp_path / LOCK).write_bytes(content)
            with pytest.raises(InUseError), folder_lock(tmp_path, "ff-second"):
                pass
    finally:
        end(first)
