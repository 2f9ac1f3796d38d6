"""The harness of lit frames with small ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import lit


@pytest.mark.parametrize("pattern", lit.PATTERNS)
def test_frames_of_every_kind(pattern: str) -> None:
    frames = lit.PATTERNS[pattern]((2, 48, 48))
    assert (frames.shape, frames.dtype) == ((2, 48, 48), "u2")
    assert (frames >= lit.THRESHOLD).any()


@pytest.mark.parametrize(
    ("pattern", "program", "force", "code", "said"),
    [
        ("noise", "ff-midas", 0, 1, "frames 1, 2, 3 are crowded"),
        ("smooth-noise", "ff-midas", 1, 1, "nothing was indexed"),
        ("noise-at-threshold", "ff-peaks", 1, 0, "4 of 4 frames are crowded"),
    ],
)
def test_a_run_on_lit_frames_ends(tmp_path: Path, pattern: str, program: str, force: int, code: int, said: str) -> None:
    lit.make(tmp_path, lit.PATTERNS[pattern]((4, 96, 96)))
    ended, sentence = lit.run(tmp_path, program, force, 2, 10)
    assert ended == code
    assert said in sentence
