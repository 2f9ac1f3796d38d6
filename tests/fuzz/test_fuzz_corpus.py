"""Every target with a few mutated inputs, and with all that was found once; and the loop finds what it must find."""

from __future__ import annotations

import os
import time
import warnings
from pathlib import Path

import numpy as np
import pytest

from midas.runtime import apart
from midas.runtime.errors import FormatError

from . import harness
from .harness import Target, check, fuzz, kept, targets
from .mutations import BYTES, mixed

FEW = 150


@pytest.mark.parametrize("name", sorted(targets()))
def test_inputs_as_they_are_written_are_accepted(name: str) -> None:
    target = targets()[name]
    corpus = target.corpus()
    outcome = fuzz(target, len(corpus))
    assert not outcome.findings, outcome.report(name)
    assert outcome.accepted == len(corpus)


@pytest.mark.parametrize("name", sorted(targets()))
def test_mutated_inputs_are_accepted_or_refused(name: str) -> None:
    target = targets()[name]
    count = len(target.corpus()) + FEW
    outcome = fuzz(target, count, seed=5)
    assert not outcome.findings, outcome.report(name)
    assert outcome.inputs == count and 0 < outcome.accepted < count


@pytest.mark.parametrize("name", [name for name in sorted(targets()) if kept(name)])
def test_what_was_found_once(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "SECONDS", 0)  # a second is enough for these, and one may hang
    assert not check(targets()[name], kept(name))


def _badly(data: bytes, folder: Path) -> None:
    """Does what the first byte says."""
    (folder / "input").write_bytes(data)
    match data[:1]:
        case b"e":
            raise KeyError("foreign")
        case b"m":
            np.ones(1 << 30)
        case b"n":
            try:
                np.ones(1 << 30)
            except MemoryError as error:
                raise FormatError(f"cannot be read ({error})") from None
        case b"w":
            warnings.warn("careless", stacklevel=1)
        case b"l":
            error = FormatError("one line")
            error.lines = ("two\nlines",)
            raise error
        case b"c":
            os.abort()
        case b"x":
            os._exit(0)
        case b"h":
            while True:
                time.process_time()
        case b"r":
            raise FormatError("refused")


def test_the_loop_finds_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "DEADLINE", 0.3)
    inputs = {letter: letter.encode() for letter in "aemnwlcxhr"}
    found = {f.name or f.number: f.kind for f in check(Target("bad", _badly, dict, mixed(BYTES)), inputs)}
    assert found == {
        "e": "exception", "m": "memory", "n": "memory", "w": "exception", "l": "lines", "c": "crash", "x": "crash",
        "h": "hang",
    }  # fmt: skip


def test_an_input_follows_from_its_seed_and_number() -> None:
    target = Target("t", _badly, dict, mixed(BYTES))
    corpus = {"one": bytes(range(64)), "two": b"text 1 2 3"}
    inputs = [harness.made(target, corpus, 3, number) for number in range(50)]
    assert inputs == [harness.made(target, corpus, 3, number) for number in range(50)]
    assert inputs != [harness.made(target, corpus, 4, number) for number in range(50)]
