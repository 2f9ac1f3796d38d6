"""Indexing and refinement go on where they were interrupted (docs/theory/indexing.md#marks)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from midas.formats.index import SlotWriter
from midas.formats.refined_writer import RefinedWriter
from midas.runtime import chunks

from .harness import BY_NAME, INDEXED, REFINED, call, prepare

FILES = {"IndexerOMP": INDEXED, "FitPosOrStrainsOMP": REFINED}
WRITERS = {"IndexerOMP": SlotWriter, "FitPosOrStrainsOMP": RefinedWriter}
REPEATS = 3


@pytest.fixture(autouse=True)
def _a_row_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "_PER_THREAD", 1)
    monkeypatch.setattr(chunks, "_GROWTH", 1)


@pytest.fixture(params=list(FILES))
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def layer(name: str, pristine: Path, tmp_path: Path) -> Path:
    """The three seeds of the layer, three times."""
    folder = prepare(BY_NAME[name], pristine, tmp_path / "layer")
    for file in ("SpotsToIndex.csv", *(INDEXED if name == "FitPosOrStrainsOMP" else ())):
        (folder / file).write_bytes((folder / file).read_bytes() * REPEATS)
    return folder


class Interrupt:
    """Counts the chunks that are written; the one behind `after` is interrupted in the middle."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, name: str):
        self.written, self.after = 0, -1
        writer = WRITERS[name]
        write: Callable[..., None] = writer.write

        def counted(*arguments: object) -> None:
            if self.written == self.after:
                marks = arguments[0]._marks  # type: ignore[attr-defined]
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(type(marks), "put", interrupted)
                    write(*arguments)
            write(*arguments)
            self.written += 1

        def interrupted(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(writer, "write", counted)


@pytest.fixture
def interrupt(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[Interrupt]:
    yield Interrupt(monkeypatch, name)


def run(name: str, folder: Path, *words: str, block: tuple[str, str] = ("0", "1"), threads: str = "1"):
    return call(BY_NAME[name], folder, "paramstest.txt", *block, str(3 * REPEATS), threads, *words)


def results(name: str, folder: Path) -> dict[str, bytes]:
    return {file: (folder / file).read_bytes() for file in FILES[name]}


def test_an_interrupted_stage_goes_on(name: str, layer: Path, interrupt: Interrupt) -> None:
    assert run(name, layer).code == 0
    assert interrupt.written == 3 * REPEATS
    whole, clean = results(name, layer), run(name, layer).after
    interrupt.written, interrupt.after = 0, 4
    outcome = run(name, layer)
    assert outcome.code == 130
    assert not any((layer / file).exists() for file in FILES[name])
    assert list(layer.rglob("*.unfinished"))
    interrupt.written, interrupt.after = 0, -1
    outcome = run(name, layer, "-resume", "1", threads="2")
    assert (outcome.code, outcome.stderr) == (0, "")
    assert results(name, layer) == whole
    assert 0 < interrupt.written <= 5
    for left in (outcome.after, clean):
        left.pop("midas_log/ledger.json")  # it has times
    assert outcome.after == clean, "nothing else is left"
    interrupt.written = 0
    assert run(name, layer, "-resume", "1").code == 0
    assert (results(name, layer), interrupt.written) == (whole, 0)


def test_who_begins_anew_keeps_nothing(name: str, layer: Path, interrupt: Interrupt) -> None:
    interrupt.after = 4
    assert run(name, layer).code == 130
    interrupt.written, interrupt.after = 0, -1
    assert run(name, layer).code == 0
    assert interrupt.written == 3 * REPEATS
    assert not list(layer.rglob("*.unfinished"))


def test_another_parameter_keeps_nothing(name: str, layer: Path, interrupt: Interrupt) -> None:
    interrupt.after = 4
    assert run(name, layer).code == 130
    with open(layer / "paramstest.txt", "a", encoding="utf-8") as stream:
        stream.write("MarginOme 1.01\nMargABC 3.01\n")
    interrupt.written, interrupt.after = 0, -1
    assert run(name, layer, "-resume", "1").code == 0
    assert interrupt.written == 3 * REPEATS


def test_a_block_goes_on_and_one_process_takes_over(name: str, layer: Path, interrupt: Interrupt) -> None:
    assert run(name, layer).code == 0
    whole = results(name, layer)
    for path in layer.rglob("*.marks"):
        path.unlink()
    for file in FILES[name]:
        (layer / file).unlink()
    interrupt.written, interrupt.after = 0, 2
    assert run(name, layer, block=("1", "2")).code == 130  # rows 5 ... 8, two of which are done
    interrupt.written, interrupt.after = 0, -1
    assert run(name, layer, "-resume", "1", block=("1", "2")).code == 0
    assert interrupt.written == 2
    assert run(name, layer, "-resume", "1").code == 0
    assert interrupt.written == 2 + 5
    assert results(name, layer) == whole
    assert not list(layer.rglob("*.unfinished"))
