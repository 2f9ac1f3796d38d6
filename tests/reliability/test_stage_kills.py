"""The harness of killed commands, with small counts (docs/reliability.md#missing-parts)."""

from __future__ import annotations

import random
import signal
from pathlib import Path

import pytest

from tests.reliability import stage_kills
from tests.reliability.commands import Command
from tests.reliability.stage_kills import Killed, Trials, commands, two_at_once

COMMANDS = {command.title: command for command in commands()}


def kill_one(command: Command, pristine: Path, folder: Path, seed: str) -> None:
    """Runs at random moments until one was not over before it was killed."""
    trials, chance = Trials(command, pristine, folder / "work"), random.Random(seed)
    for _ in range(5):
        found = trials.killed(signal.SIGKILL, chance)
        assert found.wrong == ""
        if found.what:
            return
    pytest.fail("five runs were over before they were killed")


@pytest.mark.parametrize("name", ["ff-index -resume 1"])
def test_a_killed_command_runs_again(name: str, pristine: Path, tmp_path: Path, default_signals: None) -> None:
    kill_one(COMMANDS[name], pristine, tmp_path, name)


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in COMMANDS if name in ("mpirun ff-refine -resume 1",)])
def test_killed_ranks_run_again(name: str, pristine: Path, tmp_path: Path, default_signals: None) -> None:
    kill_one(COMMANDS[name], pristine, tmp_path, name)


@pytest.mark.long
def test_of_two_runs_one_has_its_results(pristine: Path, tmp_path: Path, default_signals: None) -> None:
    assert two_at_once(pristine, tmp_path / "work", 1, random.Random(1)) == [""]


def test_what_the_harness_would_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each rule, broken."""
    in_use = b"ff-midas: layer 1: x: is in use by ff-midas (pid 1 of a on b since c); wait\n"
    monkeypatch.setattr(stage_kills, "_grains", lambda _: {"Grains.csv": "first"})
    wanted = [{"Grains.csv": "first"}, {"Grains.csv": "second"}]

    def judged(codes: list[int], errors: list[bytes]) -> str:
        return stage_kills._judged(codes, errors, wanted, tmp_path)

    assert judged([0, 1], [b"", in_use]) == ""
    assert judged([1, 0], [in_use, b""]) == "results of the other run"
    assert "exit codes" in judged([0, 0], [b"", b""])
    assert "exit codes" in judged([1, 1], [in_use, in_use])
    assert "said" in judged([0, 1], [b"", b"ff-midas: Grains.csv is missing\n"])
    monkeypatch.setattr(stage_kills, "commands", lambda: [COMMANDS["ff-index"]])
    monkeypatch.setattr(Trials, "__init__", lambda *_: None)
    monkeypatch.setattr(stage_kills, "pristine", lambda folder: folder)
    for one, code in (
        (Killed("process", "differ: Grains.csv"), 1), (Killed("", ""), 1), (Killed("process", ""), 0),
    ):  # fmt: skip
        monkeypatch.setattr(Trials, "killed", lambda *_, one=one: one)
        assert stage_kills.main(["ff-index", "--count", "2", "--folder", str(tmp_path)]) == code, one
