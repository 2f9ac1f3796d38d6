"""What is said once a run."""

from __future__ import annotations

from midas.runtime import once


def test_once_in_a_run_and_every_time_outside() -> None:
    assert once.first_time("a") and once.first_time("a")
    with once.one_run():
        assert [once.first_time(topic) for topic in "abab"] == [True, True, False, False]
        with once.one_run():
            assert once.first_time("a")
        assert not once.first_time("a")
    assert once.first_time("a")
