"""Which angles count: those of the raw file, its step included, in the sense of rotation of OmegaStep."""

from __future__ import annotations

import numpy as np
import pytest

from midas.convert.angles import Rotation, reconciled
from midas.diagnosis.check import Request, examine
from midas.diagnosis.check.resolved import rows
from midas.experiment.scan import covered_ranges
from midas.parameters import Parameters

from .hdf5_files import write
from .raw_files import BASE, pixels

EVEN = 10 + 0.5 * np.arange(12)


def reconciliation(text: str, omegas: np.ndarray | None) -> Rotation:
    base = BASE.replace("OmegaFirstFile 10\nOmegaStep -0.25\n", "")
    return reconciled(Parameters.parse(f"{base}\n{text}\n").for_stage("convert"), omegas)


@pytest.mark.parametrize(
    ("text", "start", "step", "says"),
    [
        ("OmegaStart 10\nOmegaStep 0.5", 10, 0.5, ""),
        ("OmegaStart 370\nOmegaStep 0.5", 370, 0.5, ""),
        ("OmegaStep 0.5", 10, 0.5, ""),
        ("", 10, 0.5, ""),
        ("SkipFrame 2", 11, 0.5, ""),
        (
            "OmegaStart 10\nOmegaStep 0.25",
            10,
            0.5,
            "by OmegaStart 10 and OmegaStep 0.25 frame 11 begins at omega 12.75",
        ),
        ("OmegaStep 1", 10, 0.5, "by OmegaStep 1 frame 11 begins at omega 21, by the raw file at 15.5"),
        ("OmegaFirstFile 9\nOmegaStep 0.5", 10, 0.5, "by OmegaFirstFile 9 and OmegaStep 0.5 frame"),
        ("OmegaStart 9\nOmegaStep 0.25\nSkipFrame 2", 11, 0.5, "counts: OmegaStart 11, OmegaStep 0.5"),
        ("OmegaStart -10\nOmegaStep -0.5", -10, -0.5, "run the other way than OmegaStep -0.5, which gives the sense"),
        ("OmegaStart 180\nOmegaStep -0.25", -10, -0.5, "by OmegaStart 180 and OmegaStep -0.25 frame 0 begins"),
    ],
)
def test_the_file_counts_in_the_sense_of_the_step(text: str, start: float, step: float, says: str) -> None:
    found = reconciliation(text, EVEN)
    assert found.listed is None and found.parameters.omega_start() == start
    assert found.parameters["OmegaStep"] == pytest.approx(step)
    assert says in "\n".join(found.remarks) and bool(found.remarks) == bool(says)
    assert np.sign(found.told[1] - found.told[0]) == np.sign(step)


def test_a_falling_file_counts_in_the_same_way() -> None:
    """The same rule for either sense of the file."""
    found = reconciliation("OmegaStart 180\nOmegaStep 0.25", -EVEN)
    assert found.parameters["OmegaStart"] == 10 and found.parameters["OmegaStep"] == 0.5
    assert len(found.remarks) == 2 and "10 ... 15.5" in found.remarks[0]


@pytest.mark.parametrize(
    ("text", "step"), [("OmegaStep 0.25\nOmegaStart 10", 0.5), ("OmegaStep 0.49\nOmegaStart 10", 0.49)]
)
def test_angles_that_are_not_even_are_listed(text: str, step: float) -> None:
    """Two wedges: the width of a frame is that of the file, unless the parameters are about right."""
    wedges = np.concatenate([EVEN, EVEN + 90])
    found = reconciliation(text, wedges)
    np.testing.assert_array_equal(found.listed, wedges)
    assert found.parameters["OmegaStep"] == step and "since they are not even" in found.remarks[0]
    if step == 0.5:
        assert covered_ranges(found.listed, step) == ((10.0, 16.0), (100.0, 106.0))
    [remark] = reconciliation("", wedges).remarks
    assert "OmegaSt" not in remark and "frame 12 begins at 100, frame 11 at 15.5; each counts as it is" in remark


def test_nobody_says_where_omega_begins() -> None:
    assert reconciliation("OmegaStep 1", None).remarks == (
        "neither OmegaStart nor OmegaFirstFile is given, and the raw file has no angles: omega begins at 0",
    )
    assert not reconciliation("OmegaStep 1\nOmegaFirstFile 0", None).remarks


def test_check_and_conversion_agree(convert, tmp_path, caplog: pytest.LogCaptureFixture) -> None:
    path = str(write(tmp_path / "scan.h5", exchange__data=pixels((12, 12, 10)), exchange__omega=EVEN))
    text = f"{BASE.replace('OmegaStep -0.25', 'OmegaStep 0.25')}\n"
    with convert(text, data_file=path) as archive:
        np.testing.assert_allclose(archive.omegas, EVEN)
        assert archive.parameters["OmegaStep"] == 0.5
    warned = [r.getMessage() for r in caplog.records if "the raw file counts" in r.getMessage()]
    report = examine(Request(tmp_path / "ps.txt", parts=(), data_file=path))
    assert [line for line in report.warnings if "the raw file counts" in line] == warned and len(warned) == 1
    shown = {row.key: (row.value, row.origin) for row in rows(report.subject)}
    assert shown["OmegaStep"] == ("0.5", "the raw file") and shown["OmegaRange"] == ("10 16", "the scan")


def test_the_check_lists_the_start_that_nobody_gives(tmp_path) -> None:
    path = str(write(tmp_path / "scan.h5", exchange__data=pixels((12, 12, 10))))
    (tmp_path / "ps.txt").write_text(BASE.replace("OmegaFirstFile 10", ""))
    report = examine(Request(tmp_path / "ps.txt", parts=(), data_file=path))
    assert any("omega begins at 0" in line for line in report.warnings)
    assert ("OmegaStart", "0", "°", "default") in list(rows(report.subject))
