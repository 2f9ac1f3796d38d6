"""The key of a run of a stage: the same for the same results, another one for whatever changes them."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from midas.archive import DATA, ArchiveWriter, set_dataset
from midas.ledger import content
from midas.ledger.run_key import declared, run_key
from midas.parameters import ANALYSIS, Parameters
from midas.runtime import provenance
from tests import tiny_archive


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "hkls.csv"
    path.write_text("1 2 3\n")
    return path


def _settings(**values: object) -> Parameters:
    return Parameters({"Lsd": 1e6, "Wavelength": 0.22, **values})


def test_is_the_sha256_of_the_same_run(table: Path, tmp_path: Path) -> None:
    key = run_key("merge", _settings(OverlapLength=2.0), [table])
    assert re.fullmatch("[0-9a-f]{64}", key)
    elsewhere = tmp_path / "moved" / table.name
    elsewhere.parent.mkdir()
    shutil.copy(table, elsewhere)
    assert run_key("merge", _settings(OverlapLength=2.0), [elsewhere]) == key, "neither folder nor date counts"


@pytest.mark.parametrize("change", ["parameter", "stage", "content", "missing", "more", "array", "version"])
def test_differs_with_whatever_changes_the_results(table: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def key(stage: str = "merge", overlap: float = 2.0, **more: object) -> str:
        return run_key(stage, _settings(OverlapLength=overlap), [table], **more)

    before = key(fit=0, seeds=np.array([1, 2]))
    if change == "content":
        table.write_text("1 2 4\n")
    elif change == "missing":
        table.unlink()
    elif change == "version":
        monkeypatch.setattr("midas.ledger.run_key.__version__", "another one")
    after = {
        "parameter": lambda: key(overlap=np.nextafter(2.0, 3.0).item(), fit=0, seeds=np.array([1, 2])),
        "stage": lambda: key("radius", fit=0, seeds=np.array([1, 2])),
        "more": lambda: key(fit=1, seeds=np.array([1, 2])),
        "array": lambda: key(fit=0, seeds=np.array([1, 3])),
    }.get(change, lambda: key(fit=0, seeds=np.array([1, 2])))
    assert after() != before


def test_a_parameter_that_the_stage_does_not_read_changes_nothing(table: Path) -> None:
    assert run_key("merge", _settings(), [table]) == run_key("merge", _settings(Completeness=0.5), [table])


def test_a_default_that_depends_on_another_key_counts() -> None:
    before, after = (declared("refinement", _settings(LegacyDigits=digits)) for digits in (0, 1))
    assert (before["RefineMethod"], after["RefineMethod"]) == ("'joint' (default)", "'staged' (default)")


def test_a_path_counts_only_as_given() -> None:
    first, second, none = (declared("indexing", _settings(GrainsFile=name)) for name in ("a.csv", "b.csv", ""))
    assert first == second != none


def test_what_has_no_text_is_refused(table: Path) -> None:
    with pytest.raises(TypeError, match="tables"):
        run_key("merge", _settings(), [table], tables=[object()])


def test_a_large_file_is_told_apart_by_the_time_of_its_change(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provenance, "_MOST_BYTES", 1)
    monkeypatch.setattr(provenance, "_SAMPLE_BYTES", 1)
    monkeypatch.setattr(provenance, "_SAMPLES", 2)
    before = run_key("merge", _settings(), [table])
    changed = table.stat().st_mtime_ns + 1
    table.write_text("1 9 3\n")  # between the samples
    os.utime(table, ns=(changed, changed))
    assert run_key("merge", _settings(), [table]) != before


def test_of_an_archive_the_frames_count(tmp_path: Path) -> None:
    path, frames = tmp_path / "scan.MIDAS.zip", tiny_archive.frames_of()
    with ArchiveWriter(path, frames.shape, frames.dtype) as writer:
        writer.add_frames(DATA, frames.shape, iter(frames))
        writer.add_parameters(tiny_archive.PARAMETERS)
    before = content.stamp(path)
    set_dataset(path, f"{ANALYSIS}Width", np.array([500.0]))
    after = content.stamp(path)
    assert before is not None
    assert after is not None
    assert after.size > before.size
    assert after.identity == before.identity


def test_a_file_that_is_read_once_is_not_read_again(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content.stamp(table)
    monkeypatch.setattr(provenance, "fingerprint", lambda *_: pytest.fail("read again"))
    assert content.stamp(table) is not None


def test_a_file_that_is_replaced_within_a_tick_is_read_again(table: Path) -> None:
    before, time = content.stamp(table), table.stat().st_mtime_ns
    other = table.with_name("new")
    other.write_text("1 2 4\n")
    os.utime(other, ns=(time, time))
    other.replace(table)
    after = content.stamp(table)
    assert before is not None and after is not None
    assert before.identity != after.identity
