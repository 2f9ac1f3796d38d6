"""The harnesses of signals, little memory and full disks, with small counts (docs/reliability.md)."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.reliability import full_disk, interrupts, little_memory
from tests.reliability.commands import Command, ranks, table

COMMANDS = {command.title: command for command in (*table(), *ranks())}


@pytest.mark.parametrize("name", ["ff-stress", "ff-midas"])
def test_signals_at_any_moment(name: str, pristine: Path, tmp_path: Path, default_signals: None) -> None:
    command, chance = COMMANDS[name], random.Random(name)
    for moment in (0.0, 0.02, 0.1, 0.3):
        by = chance.choice(interrupts.SIGNALS)
        folder = tmp_path / f"{moment}"
        folder.mkdir()
        ended = interrupts.run(command, pristine, folder, by, moment)
        assert interrupts.verdict(command, ended) == "", ended


def test_a_signal_while_a_command_works_is_heard(pristine: Path, tmp_path: Path, default_signals: None) -> None:
    command = COMMANDS["ff-midas"]
    ended = interrupts.run(command, pristine, tmp_path, interrupts.SIGNALS[1], 3 * interrupts.START)
    assert (interrupts.verdict(command, ended), ended.kind) == ("", "said"), ended


def test_little_memory(pristine: Path, tmp_path: Path) -> None:
    command = COMMANDS["ff-stress"]
    kinds = []
    for limit in (70, 160, 900):
        folder = tmp_path / str(limit)
        folder.mkdir()
        kinds.append(little_memory.run(command, pristine, folder, limit * little_memory.MB))
    assert kinds == ["said", "said", "enough"]


def test_full_disk(pristine: Path, tmp_path: Path) -> None:
    found = full_disk.trials(COMMANDS["ff-stress"], pristine, tmp_path, 3)
    assert {kind for _, kind in found} == {"said", "enough"}


def test_what_the_harnesses_would_see(tmp_path: Path) -> None:
    """Each rule of the verdicts, broken."""
    command = Command("ff-x", (), lambda *_: None)
    by = interrupts.SIGNALS[0]
    good = interrupts.Ended(by, 1.0, 0.5, 130, ("ff-x: interrupted",), ())
    assert interrupts.verdict(command, good) == ""
    for change, said in (
        ({"seconds": 2.5}, "2.50 s"), ({"lines": ("Traceback (most",)}, "a traceback"), ({"left": ("a.part",)}, "left"),
        ({"code": 1}, "exit 1"), ({"lines": ("ff-x: a", "b")}, "2 lines"), ({"lines": ("Aborted",)}, "Aborted"),
        ({"code": -by, "lines": ()}, "without a word"), ({"lines": ()}, "without a word"),
    ):  # fmt: skip
        assert said in interrupts.verdict(command, replace(good, **change))
    assert interrupts.verdict(command, replace(good, code=-by, lines=(), after=0.1)) == ""
    assert little_memory.verdict(command, tmp_path, 1, b"ff-x: not enough memory\n") == "said"
    assert little_memory.verdict(command, tmp_path, -11, b"") == "exit -11; []"
    assert "2 lines" in little_memory.verdict(command, tmp_path, 1, b"a\nb\n")
    (tmp_path / "Grains.csv").write_text("half")
    assert "damaged: Grains.csv" in full_disk.verdict(command, tmp_path, 1, b"ff-x: full\n", {"Grains.csv": {"whole"}})
    (tmp_path / "a.csv.part").touch()
    assert full_disk.verdict(command, tmp_path, 1, b"ff-x: full\n", {}) == "left: a.csv.part"
