"""Where messages go."""

from __future__ import annotations

import logging

import pytest

from midas.runtime import logs

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
