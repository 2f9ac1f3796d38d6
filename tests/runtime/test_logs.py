"""Where messages go."""

from __future__ import annotations

import errno
import logging
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from midas.runtime import logs
from midas.runtime.errors import OutputError

log = logging.getLogger("midas.convert.conversion")


@pytest.mark.parametrize("console", [logs.stdout, logs.driver_stderr])
def test_equal_warnings_are_shown_once_a_run(console, capsys: pytest.CaptureFixture[str]) -> None:
    kept = logs.Kept()
    for _ in range(2):
        with logs.one_run(), logs.attached(console()), logs.attached(kept):
            for number in (1, 1, 2):
                log.warning("frame %d is lost", number)
    shown = "".join(capsys.readouterr())
    assert shown.count("frame 1 is lost") == 2 and shown.count("frame 2 is lost") == 2
    assert len(kept.messages) == 6  # what ranks tell each other is complete


def test_other_messages_are_all_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.one_run(), logs.attached(logs.stdout(), logging.INFO):
        for _ in range(3):
            log.info("another file")
    assert capsys.readouterr().out == "another file\n" * 3


# Disks that are full


def test_a_log_that_cannot_be_written_any_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One warning, and the work goes on: "--- Logging error ---" with its traceback helps nobody."""
    path = tmp_path / "out.csv"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with logs.one_run(), logs.attached(logs.stdout(), logging.INFO), logs.file(path):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
            for number in range(20):
                log.info("message %d of twenty", number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)
    said = capsys.readouterr()
    assert said.err == "" and said.out.count("of twenty") == 20
    assert said.out.count("warning: ") == 1
    assert f"{path}: cannot be written (File too large); the rest of this log is lost" in said.out
    assert path.read_text().startswith("message 0 of twenty\n")


def test_a_disk_that_is_full_when_the_log_is_closed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with logs.one_run(), logs.attached(logs.stdout(), logging.INFO):
        handler = logs._File(tmp_path / "out.csv")
        with logs.attached(handler):
            handler.stream.close()
            handler.stream = Full(tmp_path / "out.csv")
    said = capsys.readouterr()
    assert (said.err, said.out.count("warning: ")) == ("", 1) and "No space left on device" in said.out


class Full:
    """A file of which only its closing says that it could not be written, as on a network."""

    def __init__(self, path: Path):
        self.path = path

    def flush(self) -> None:
        pass

    def close(self) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_log_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "out.csv").mkdir()
    for path in (tmp_path / "out.csv", tmp_path / "no" / "folder.csv"):
        with pytest.raises(OutputError, match="cannot be written"), logs.file(path):
            raise AssertionError


def test_a_link_under_the_name_of_a_log_is_not_followed(tmp_path: Path) -> None:
    path, victim = tmp_path / "out.csv", tmp_path / "victim"
    victim.write_text("as before")
    path.symlink_to(victim)
    with logs.attached(logging.NullHandler(), logging.INFO), logs.file(path):
        log.info("said")
    assert (path.read_text(), victim.read_text()) == ("said\n", "as before") and not path.is_symlink()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")
def test_standard_error_on_a_full_disk() -> None:
    code = (
        "import logging, sys\nfrom midas.runtime import logs\n"
        "with logs.attached(logs.driver_stderr(), logging.INFO):\n"
        "    logging.getLogger('midas.pipeline.x').warning('lost')\nprint('done')"
    )
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=full, check=True)
    assert done.stdout == b"done\n"


def test_text_of_data_does_not_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with logs.one_run(), logs.attached(logs.stdout(), logging.INFO):
        log.info("a\x1b[2Jb\x9bc\u202ed\ttab\nline")
        log.warning("a\x07b\nwarning: c")
    assert capsys.readouterr().out == "a\\x1b[2Jb\\x9bc\\u202ed\ttab\nline\nwarning: a\\x07b warning: c\n"
