"""Binning stage: golden files, docs/theory/binning.md#situations and #checks-on-a-result."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from midas.formats.bins import read_bins
from midas.formats.layer import Layer
from midas.formats.spots import EXTRA_INFO, INPUT_ALL, SPOTS_BINARY
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.errors import FormatError, ParameterError, StageError
from midas.runtime.parallel import Communicator
from midas.stages import binning

TEXT = "RingNumbers 1;\nRingNumbers 3;\nRingRadii 95000;\nRingRadii 157000;\nEtaBinSize 2;\nOmeBinSize 4;\n"


def digest(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@pytest.mark.golden
@pytest.mark.parametrize(
    "name", ["au3", pytest.param("ds1", marks=pytest.mark.slow), pytest.param("ds2", marks=pytest.mark.slow)]
)
def test_golden(golden: Callable[[str], Path], golden_copy: Callable[..., Path], name: str) -> None:
    folder = golden_copy(name, "InputAll.csv", "InputAllExtraInfoFittingAll.csv", "paramstest.txt")
    layer = Layer(folder)
    result = binning.run(layer, Parameters.read(layer.paramstest, "paramstest"), threads=2)
    expected = json.loads((golden(name) / "SHA256.json").read_text())
    for path in (layer.spots_binary, layer.extra_info_binary, layer.bins, layer.bin_counts):
        assert path.stat().st_size == expected[path.name]["bytes"], path.name
        assert digest(path) == expected[path.name]["sha256"], path.name
    spots, extra = result.data
    assert spots.columns.T.tobytes() == layer.spots_binary.read_bytes()
    assert extra.columns.T.tobytes() == layer.extra_info_binary.read_bytes()
    layer.bin_counts.unlink()  # half a gigabyte


def tables(rings: list[int], seed: int = 1, extra_columns: int = 16) -> tuple[str, str]:
    """InputAll.csv and the ExtraInfo file of random spots; ring 0 is a rejected row."""
    random = np.random.default_rng(seed)
    rows = []
    for number, ring in enumerate(rings, 1):
        eta, omega, radius = random.uniform(-180, 180), random.uniform(-180, 180), {1: 95000, 3: 157000}.get(ring, 1e5)
        y, z = -radius * np.sin(np.radians(eta)), radius * np.cos(np.radians(eta))
        row = [y, z, omega, 50, number, ring, eta, 5, omega, y, z, 1000, 1100, omega, 4000, 5000]
        rows.append([x if ring or i == 4 else 0 for i, x in enumerate(row)])
    texts = [" ".join(f"{x:12.5f}" for x in row) for row in rows]
    short = [" ".join(f"{x:12.5f}" for x in row[:8]) for row in rows]
    long = [" ".join(text.split()[:extra_columns]) for text in texts]
    return (f"{INPUT_ALL.header}\n" + "".join(f"{row}\n" for row in short),
            f"{EXTRA_INFO.header}\n" + "".join(f"{row}\n" for row in long))  # fmt: skip


@pytest.fixture
def bins(tmp_path: Path) -> Callable[..., tuple[Layer, tuple[Table, Table]]]:
    """``bins(parameters, content of the tables)``: the stage run on files in a folder."""

    def run(
        text: str = TEXT, content: tuple[str, str] | None = None, threads: int = 1
    ) -> tuple[Layer, tuple[Table, Table]]:
        layer = Layer(tmp_path)
        content = content or tables([1, 1, 0, 3, 3, 3])
        layer.input_all.write_text(content[0])
        layer.extra_info.write_text(content[1])
        layer.paramstest.write_text(text)
        parameters = Parameters.read(layer.paramstest, "paramstest")
        return layer, binning.run(layer, parameters, threads=threads).data

    return run


def test_matrices(bins: Callable[..., tuple[Layer, tuple[Table, Table]]]) -> None:
    layer, (spots, extra) = bins()
    matrix = np.fromfile(layer.spots_binary, "<f8").reshape(-1, 9)
    assert spots.names == SPOTS_BINARY
    np.testing.assert_array_equal(matrix, spots.columns.T)
    read = INPUT_ALL.read(layer.input_all)
    np.testing.assert_array_equal(matrix[:, :8], read.columns.T)
    radii = np.array([0, 95000, 0, 157000.0])[read.integers("ring")]
    np.testing.assert_array_equal(matrix[:, 8], np.sqrt(read["y_ideal"] ** 2 + read["z_ideal"] ** 2) - radii)
    assert matrix[2].tolist() == [0, 0, 0, 0, 3, 0, 0, 0, 0]
    np.testing.assert_array_equal(
        np.fromfile(layer.extra_info_binary, "<f8").reshape(-1, 14), EXTRA_INFO.read(layer.extra_info).columns[:14].T
    )
    assert len(extra) == 6


def test_table_of_bins(bins: Callable[..., tuple[Layer, tuple[Table, Table]]]) -> None:
    rings = [1] * 40 + [0] + [3] * 59
    layer, (spots, _) = bins(content=tables(rings))
    records, rows = read_bins(layer, 180, 90)
    assert records.shape == (3, 180, 90)  # ring 2 has bins too
    counts, offsets = records["count"], records["offset"]
    assert counts.sum() == len(rows)
    np.testing.assert_array_equal(offsets.ravel(), np.concatenate([[0], np.cumsum(counts)[:-1]]))
    assert counts[1].sum() == 0
    ring_of = np.array(rings)
    for ring in (1, 3):
        for count, offset in records[ring - 1].ravel():
            found = rows[offset : offset + count]
            assert (np.diff(found) > 0).all()
            assert (ring_of[found] == ring).all()
    # Every spot is found at its own angles.
    for row in np.flatnonzero(ring_of):
        eta, omega = spots["eta"][row], spots["omega_ideal"][row]
        count, offset = records[ring_of[row] - 1, int((180 + eta) / 2), int((180 + omega) / 4)]
        assert row in rows[offset : offset + count]


def test_threads_and_tables_in_memory_give_the_same_files(
    bins: Callable[..., tuple[Layer, tuple[Table, Table]]],
) -> None:
    content = tables([1] * 300 + [3] * 500)
    layer, _ = bins(content=content)
    paths = (layer.spots_binary, layer.extra_info_binary, layer.bins, layer.bin_counts)
    expected = [path.read_bytes() for path in paths]
    parameters = Parameters.parse(TEXT, "paramstest.txt", "paramstest")
    memory = INPUT_ALL.read(layer.input_all), EXTRA_INFO.read(layer.extra_info)
    binning.run(layer, parameters, threads=2, spots=memory)
    assert [path.read_bytes() for path in paths] == expected


def test_tables_of_the_user(bins: Callable[..., tuple[Layer, tuple[Table, Table]]]) -> None:
    """InputAll.csv with sixteen columns, ExtraInfo with fourteen, and lines in any order and without semicolons."""
    plain = bins()[0].bins.read_bytes()
    wide = tables([1, 1, 0, 3, 3, 3])[1], tables([1, 1, 0, 3, 3, 3], extra_columns=14)[1]
    text = "OmeBinSize 4\nRingRadii 95000\nRingRadii 157000\nStepSizeOrient 0.2\nRingNumbers 1\nRingNumbers 3\n"
    layer, _ = bins(text + "EtaBinSize 2\n", wide)
    assert layer.bins.read_bytes() == plain
    # The other spelling.
    assert bins(text.replace("StepSize", "Stepsize") + "EtaBinSize 2\n", wide)[0].bins.read_bytes() == plain


@pytest.mark.parametrize("line", ["NoSaveAll 1", "WriteLegacyBins 0"])
def test_without_bins(bins: Callable[..., tuple[Layer, tuple[Table, Table]]], line: str) -> None:
    layer, _ = bins()
    assert layer.bins.exists()
    assert layer.bin_counts.exists()
    bins(TEXT + line + "\n")
    assert not layer.bins.exists()
    assert not layer.bin_counts.exists()
    assert layer.spots_binary.stat().st_size == 6 * 72
    assert layer.extra_info_binary.stat().st_size == 6 * 112


# Situations of the theory page


def test_missing_files_remove_old_bins(bins: Callable[..., tuple[Layer, tuple[Table, Table]]]) -> None:
    layer, _ = bins()
    layer.extra_info.unlink()
    with pytest.raises(FormatError, match="InputAllExtraInfoFittingAll.csv: cannot be read"):
        binning.run(layer, Parameters.parse(TEXT, "p", "paramstest"), threads=1)
    assert not layer.bin_counts.exists()
    layer.input_all.unlink()
    with pytest.raises(FormatError, match="InputAll.csv: cannot be read"):
        binning.run(layer, Parameters.parse(TEXT, "p", "paramstest"), threads=1)


def test_no_rows_and_different_rows(bins: Callable[..., tuple[Layer, tuple[Table, Table]]]) -> None:
    with pytest.raises(FormatError, match="holds no spots"):
        bins(content=tables([]))
    for rows in (2, 4):
        with pytest.raises(FormatError, match=f"ExtraInfoFittingAll.csv: has {rows} spots where InputAll.csv has 3"):
            bins(content=(tables([1] * 3)[0], tables([1] * rows)[1]))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("RingRadii 95000\n", "RingNumbers: is missing"),
        ("RingNumbers 1\n", "RingRadii: must be one per RingNumbers: 1, not 0"),
        ("RingNumbers 1\nRingRadii 1\nRingRadii 2\n", "must be one per RingNumbers: 1, not 2"),
        ("RingNumbers 500\nRingRadii 1\n", "RingNumbers: .*must lie in 1 ... 499"),
        ("RingNumbers 0\nRingRadii 1\n", "must lie in 1 ... 499"),
        ("RingNumbers 1\nRingRadii -5\n", "RingRadii: .*must be greater than 0"),
        (TEXT + "EtaBinSize 0\n", "EtaBinSize: 0.0: must be greater than 0"),
        (TEXT + "OmeBinSize -0.1\n", "OmeBinSize: -0.1: must be greater than 0"),
        (TEXT + "EtaBinSize 1e-5\nOmeBinSize 1e-5\n", "is too small"),
        (TEXT + "OmeBinSize 1e-300\n", "is too small"),
        (TEXT + "MarginOme -1\n", "MarginOme: -1.0: must not be negative"),
        (TEXT + "MarginEta -1\n", "MarginEta: -1.0: must not be negative"),
        (TEXT + "StepsizeOrient -1\n", "must not be negative"),
        (TEXT + "WriteLegacyBins 2\n", "WriteLegacyBins: 2: must be one of 0, 1"),
    ],
)
def test_bad_parameters(
    bins: Callable[..., tuple[Layer, tuple[Table, Table]]], tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        bins(text)
    assert not (tmp_path / "nData.bin").exists()
    assert not (tmp_path / "Spots.bin").exists()


def test_defaults_of_margins_and_bins(bins: Callable[..., tuple[Layer, tuple[Table, Table]]]) -> None:
    layer, _ = bins("RingNumbers 1\nRingRadii 95000\n", tables([1, 1]))
    default = digest(layer.bin_counts), digest(layer.bins)
    text = "MarginOme 0.5\nMarginEta 500\nStepsizeOrient 0.2\nEtaBinSize 0.1\nOmeBinSize 0.1\n"
    bins("RingNumbers 1\nRingRadii 95000\n" + text, tables([1, 1]))
    assert (digest(layer.bin_counts), digest(layer.bins)) == default
    assert layer.bin_counts.stat().st_size == 8 * 3600 * 3600


def test_too_many_entries(bins: Callable[..., tuple[Layer, tuple[Table, Table]]]) -> None:
    text = "RingNumbers 1\nRingRadii 95000\nEtaBinSize 0.01\nOmeBinSize 0.01\nMarginOme 170\nMarginEta 1e9\n"
    with pytest.raises(StageError, match=r"would hold \d{10} entries, more than their files can count"):
        bins(text, tables([1] * 5))


def test_room_is_looked_for(
    bins: Callable[..., tuple[Layer, tuple[Table, Table]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is asked for is never more than the files take, and not much less."""
    asked: list[float] = []
    monkeypatch.setattr(binning, "need_disk", lambda path, size, what: asked.append(size))
    layer, _ = bins(content=tables([1, 3, 1, 0, 3] * 20))
    on_disk = sum(p.stat().st_size for p in (layer.spots_binary, layer.extra_info_binary, layer.bins))
    on_disk += 512 * layer.bin_counts.stat().st_blocks
    assert 0.5 * on_disk < asked[0] <= on_disk


def test_bins_that_do_not_divide_the_turn(
    bins: Callable[..., tuple[Layer, tuple[Table, Table]]], caplog: pytest.LogCaptureFixture
) -> None:
    layer, (spots, _) = bins(TEXT + "OmeBinSize 7\n", tables([1] * 50 + [3] * 50))
    assert "OmeBinSize 7 does not divide 360" in caplog.text
    records, rows = read_bins(layer, 180, 52)
    for row, (eta, omega) in enumerate(zip(spots["eta"], spots["omega_ideal"], strict=True)):
        ring = int(spots["ring"][row])
        for shift in (-0.5, 0, 0.5):
            cell = int(((180 + omega + shift) % 360) / 7)
            count, offset = records[ring - 1, int((180 + eta) / 2), cell]
            assert row in rows[offset : offset + count]


def test_spots_on_rings_without_radius(
    bins: Callable[..., tuple[Layer, tuple[Table, Table]]], caplog: pytest.LogCaptureFixture
) -> None:
    layer, (spots, _) = bins(content=tables([1, 2, 3, 7]))
    assert "2 spots are on rings without RingRadii (2 7); no bin holds them" in caplog.text
    assert set(read_bins(layer, 180, 90)[1]) == {0, 2}
    assert spots["radial_deviation"][[1, 3]] == pytest.approx(1e5, abs=1e-4)


def test_spot_at_the_pole(bins: Callable[..., tuple[Layer, tuple[Table, Table]]]) -> None:
    rows = [text.splitlines() for text in tables([1])]
    for lines in rows:
        words = lines[1].split()
        words[6] = "0.00000"
        lines[1] = " ".join(words)
    layer, _ = bins(content=tuple("\n".join(lines) + "\n" for lines in rows))
    records, entries = read_bins(layer, 180, 90)
    assert records["count"][0, 90].tolist() == [1] * 90
    assert set(entries) == {0}


class _Member(Communicator):
    """Of two that run one after the other: what the first one sends waits for the second one."""

    connected = True
    sent: ClassVar[list[object]] = []

    def broadcast(self, item: object) -> object:
        if self.rank == 0:
            self.sent.append(item)
            return item
        return self.sent.pop(0)


def test_first_rank_works_for_all(
    bins: Callable[..., tuple[Layer, tuple[Table, Table]]], caplog: pytest.LogCaptureFixture
) -> None:
    layer, _ = bins()
    parameters = Parameters.parse(TEXT, "p", "paramstest")
    first = binning.run(layer, parameters, threads=1, comm=_Member(0, 2))
    layer.input_all.unlink()
    caplog.set_level(logging.DEBUG)
    assert binning.run(layer, parameters, threads=1, comm=_Member(1, 2)) is first
    assert layer.bins.exists()
