"""Grains that all stop at the end of the searched volume: the run succeeds, and says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_scan import Call, Finished, TinyScan

CASES = {
    "beam centre": ("BC 128 127.7\nHbeam 100", "(Z = ±Hbeam / 2 = 50 µm): the rings are shifted by", "BC is about 12"),
    "low volume": ("Hbeam 20", "(Z = ±Hbeam / 2 = 10 µm): ", "enlarge it if the sample is larger"),
}


@pytest.mark.parametrize("name", CASES)
def test_grains_at_the_edge(
    name: str, scan: TinyScan, tmp_path: Path, in_process: Call, capsys: pytest.CaptureFixture[str]
) -> None:
    edit, where, advice = CASES[name]
    keys = [line.split()[0] for line in edit.splitlines()]
    lines = [line for line in scan.parameters.read_text().splitlines() if line.split()[0] not in keys]
    (tmp_path / "ps.txt").write_text("\n".join([*lines, edit, ""]))
    arguments = ["-paramFN", "ps.txt", "-dataFN", scan.archive, "-nCPUs", 1]
    assert in_process("ff-midas", *arguments, cwd=tmp_path) == 0
    out, err = capsys.readouterr()
    (warning,) = (line for line in err.splitlines() if "lie at the edge of the searched volume" in line)
    assert where in warning and advice in warning
    assert where in out


def test_what_is_right_is_left_alone(finished: Finished) -> None:
    assert "at the edge" not in finished[1].stderr + finished[1].stdout
