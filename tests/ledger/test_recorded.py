"""Steps record themselves: before they work, and once their outputs are there."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from midas.formats.layer import Layer
from midas.formats.ledger import COMPLETE, STARTED, Entry, read_ledger
from midas.ledger.recorded import recorded, running
from midas.ledger.rows import holds, joined, without
from midas.ledger.standing import Asked, standing
from midas.ledger.steps import Step
from midas.parameters import Parameters
from midas.runtime.errors import StageError
from midas.runtime.files import write_atomic
from midas.runtime.parallel import SERIAL, Communicator
from midas.runtime.result import StageResult

SETTINGS = Parameters({"OverlapLength": 2.0})
STEP = Step(
    "merge_overlaps",
    "merge",
    lambda layer, _: {"in.csv": (layer.folder / "in.csv",)},
    lambda layer, _: {"out.csv": (layer.folder / "out.csv",)},
    more=("twice",),
)
BEHIND = Step("calc_radius", "radius", lambda layer, _: {"out.csv": (layer.folder / "out.csv",)}, lambda layer, _: {})
WITH_ALL = Parameters({"OverlapLength": 2.0, "Wavelength": 0.2})


@recorded(STEP)
def work(
    layer: Layer,
    parameters: Parameters,
    *,
    comm: Communicator = SERIAL,
    twice: int = 0,
    resume: bool = False,
    fail: str = "",
) -> StageResult[str]:
    """Copies a file."""
    record = running()
    record.forget(range(10 * comm.rank, 10 * comm.rank + 10))
    record.cleared(range(10 * comm.rank, 10 * comm.rank + 10))
    if fail:
        raise StageError(fail)
    write_atomic(layer.folder / "out.csv", (layer.folder / "in.csv").read_bytes() * (1 + twice))
    return StageResult("merge", {"lines": 3, "text": "no number"}, f"{record.key} {record.kept}")


@pytest.fixture
def layer(tmp_path: Path) -> Layer:
    (tmp_path / "in.csv").write_text("1\n2\n3\n")
    (tmp_path / "midas_log").mkdir()
    return Layer(tmp_path)


def entry(layer: Layer) -> Entry:
    return read_ledger(layer.ledger).entries["merge_overlaps"]


def asked(**more: object) -> Asked:
    return Asked(STEP, lambda: SETTINGS, more)


def test_a_step_that_ends_well(layer: Layer) -> None:
    result = work(layer, SETTINGS)
    found = entry(layer)
    assert (found.state, found.counts, found.key) == (COMPLETE, {"lines": 3}, result.data.split()[0])
    assert found.parameters["OverlapLength"] == "2.0"
    assert found.inputs["in.csv"].size == found.outputs["out.csv"].size == 6
    assert standing(layer, read_ledger(layer.ledger), [asked(twice=0)]) == {}
    reasons = standing(layer, read_ledger(layer.ledger), [asked(twice=1)])
    assert reasons["merge_overlaps"].text == "setting twice is 1, was 0"


def test_a_step_that_fails_is_not_complete(layer: Layer) -> None:
    work(layer, SETTINGS)
    with pytest.raises(StageError, match="no luck"):
        work(layer, SETTINGS, fail="no luck")
    assert (entry(layer).state, entry(layer).number) == (STARTED, 2)
    assert not running().key


def test_it_leaves_nothing_where_there_are_no_logs(layer: Layer) -> None:
    layer.logs.rmdir()
    with pytest.raises(StageError):
        work(layer, SETTINGS, fail="no luck")
    assert not layer.logs.exists()
    work(layer, SETTINGS)
    assert entry(layer).complete


def test_rows_are_kept_for_the_same_run_alone(layer: Layer) -> None:
    with pytest.raises(StageError):
        work(layer, SETTINGS, fail="killed")
    assert work(layer, SETTINGS, resume=True).data.endswith("((0, 10),)")
    assert work(layer, SETTINGS).data.endswith("()")
    assert work(layer, SETTINGS.changed(OverlapLength=3.0), resume=True).data.endswith("()")


def test_blocks_are_complete_together(layer: Layer) -> None:
    for rank in (2, 0):
        work(layer, SETTINGS, comm=Communicator(rank, 3))
        assert entry(layer).state == STARTED
    assert (entry(layer).members, entry(layer).cleared) == ((0, 2), ((0, 10), (20, 30)))
    work(layer, SETTINGS, comm=Communicator(1, 3))
    assert (entry(layer).state, entry(layer).counts, entry(layer).cleared) == (COMPLETE, {"lines": 9}, ((0, 30),))
    work(layer, SETTINGS.changed(OverlapLength=3.0), comm=Communicator(1, 3))
    assert (entry(layer).members, entry(layer).cleared) == ((1,), ((10, 20),))


def test_a_ledger_that_cannot_be_written_is_a_warning(layer: Layer, caplog: pytest.LogCaptureFixture) -> None:
    layer.ledger.mkdir()
    (layer.ledger / "something").touch()
    work(layer, SETTINGS)
    assert (layer.folder / "out.csv").exists()
    assert "the ledger is not kept, and -resume 1 will do this step again" in caplog.text
    with pytest.raises(StageError, match="the real one"):
        work(layer, SETTINGS, fail="the real one")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"kind": "midas ledger 1", "steps": [{"step": 1}]}',
        b'{"kind": "x"}',
        b"\xff" * 9,
        b"[" * 9999,
    ],
)
def test_a_damaged_ledger_counts_for_nothing(layer: Layer, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    layer.ledger.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert read_ledger(layer.ledger).entries == {}
    assert "counts for nothing" in caplog.text
    work(layer, SETTINGS)
    assert entry(layer).complete


def test_what_others_changed_is_seen(layer: Layer) -> None:
    work(layer, SETTINGS)
    out = layer.folder / "out.csv"
    out.touch()  # the content is the same
    assert standing(layer, read_ledger(layer.ledger), [asked(twice=0)]) == {}
    out.write_text("4\n")
    reasons = standing(layer, read_ledger(layer.ledger), [asked(twice=0), Asked(BEHIND, lambda: WITH_ALL)])
    assert {name: reason.text for name, reason in reasons.items()} == {
        "merge_overlaps": "out.csv has changed",
        "calc_radius": "comes after merge_overlaps",
    }


def test_ranges_of_rows() -> None:
    assert without(((0, 10), (20, 30)), range(5, 25)) == ((0, 5), (25, 30))
    assert without(((0, 10),), range(0)) == ((0, 10),)
    assert joined(((0, 5), (25, 30)), range(5, 25)) == ((0, 30),)
    assert [holds(((0, 2), (4, 5)), row) for row in range(6)] == [True, True, False, False, True, False]
