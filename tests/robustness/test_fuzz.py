"""Random damage to every input of every command: an exit code of the contract, never an exception.

See docs/theory/conventions.md#rules-for-every-program.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .damage import is_text
from .harness import PROGRAMS, Program, call, prepare

#: ``MIDAS_FUZZ=200``: so many damages, others in every run; by default a few, the same in every run
EXAMPLES = int(os.environ.get("MIDAS_FUZZ", 0))

PROFILE = settings(
    max_examples=EXAMPLES or 6,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

CASES = [
    pytest.param(program, name, id=f"{program}-{Path(name).name}")
    for program in PROGRAMS
    for name in program.inputs
    if program.name != "ff_MIDAS.py"  # its parts are all here
]

#: words that end up in tables and parameter files by accident
WORDS = [
    b"",
    b" ",
    b"\n",
    b"\0",
    b"-1",
    b"0",
    b"1e308",
    b"-nan",
    b"inf",
    b"1e",
    b"0x10",
    b"2147483648",
    b"#",
    b"%",
    b";",
]


@st.composite
def damaged(draw: st.DrawFn, content: bytes, text: bool) -> bytes:
    """The content with some bytes flipped, removed, repeated or, in a text, replaced by words; or cut."""
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        kinds = ["flip", "cut", "remove", "repeat", *(["word", "word"] if text else ["fill", "fill"])]
        kind = draw(st.sampled_from(kinds))
        length = draw(st.integers(1, 64))
        if kind == "flip":
            flipped = bytes([content[at] ^ draw(st.integers(1, 255))]) if content else b""
            content = content[:at] + flipped + content[at + 1 :]
        elif kind == "cut":
            content = content[:at]
        elif kind == "remove":
            content = content[:at] + content[at + length :]
        elif kind == "repeat":
            content = content[:at] + content[at : at + length] * 2 + content[at + length :]
        elif kind == "word":
            start = max(content.rfind(b" ", 0, at), content.rfind(b"\t", 0, at), content.rfind(b"\n", 0, at)) + 1
            end = min((e for e in (content.find(c, at) for c in (b" ", b"\t", b"\n")) if e >= 0), default=len(content))
            content = content[:start] + draw(st.sampled_from(WORDS)) + content[end:]
        else:
            value = draw(st.sampled_from([b"\xff" * 8, bytes(8), b"\0\0\0\0\0\0\xf0\x7f", b"\0\0\0\0\0\0\xe0\x43"]))
            at -= at % 8
            content = content[:at] + value + content[at + 8 :]
    return content


@pytest.mark.parametrize(("program", "name"), CASES)
@PROFILE
@given(data=st.data())
def test_random_damage(program: Program, name: str, data: st.DataObject, pristine: Path, tmp_path: Path) -> None:
    folder = tmp_path / "layer"
    shutil.rmtree(folder, ignore_errors=True)
    prepare(program, pristine, folder)
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(data.draw(damaged(content, is_text(folder / name))))
    outcome = call(program, folder)
    outcome.must_be_clean(program)
    if outcome.code and program.name != "PeaksFittingOMPZarrRefactor":  # frames before the damaged one have their files
        outcome.must_fail(program)
