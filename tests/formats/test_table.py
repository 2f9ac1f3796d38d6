"""Text tables: exact printf and strtod, layouts, and what a damaged file says."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas._ext.numerics.text import format_table, parse_table, rounded
from midas.formats import grains, hkls, merged, peaks, radius, spots
from midas.formats.fitted_geometry import read_fit
from midas.formats.panels import read_shifts
from midas.formats.resolved import read_verdicts
from midas.formats.simulated import read_ring_intensities
from midas.formats.table import Layout, Table, concatenate
from midas.formats.tracks import read_tracks
from midas.formats.uncertainty import read_sigma
from midas.results.matching.sets import read_state_list
from midas.runtime.errors import FormatError

LAYOUTS = {
    "hkls.csv": hkls.LAYOUT,
    "MergeMap.csv": merged.MERGE_MAP,
    "IDRings.csv": spots.ID_RINGS,
    "IDsHash.csv": spots.IDS_HASH,
    "SpotsToIndex.csv": spots.SPOTS_TO_INDEX,
    "SpotMatrix.csv": grains.SPOT_MATRIX,
}

finite = st.floats(allow_nan=False, allow_infinity=False)


def as_text(x: float, decimals: int, width: int = 0) -> str:
    one = np.array([[x]])
    return format_table(one, np.array([decimals], np.int32), np.array([width], np.int32), b" ").decode()[:-1]


@given(st.floats(), st.integers(0, 12), st.integers(0, 20))
def test_fixed_point_equals_printf(x: float, decimals: int, width: int) -> None:
    expected = f"{x:{width}.{decimals}f}"
    if np.isnan(x):
        assert as_text(x, decimals).lstrip("-") == "nan"
    else:
        assert as_text(x, decimals, width) == expected


@pytest.mark.parametrize("x", [0.5e-6, 1.5e-6, 2.5e-6, -0.0, -1e-9, 0.9999995, 0.99999949999, 123456.7890625, 1e300])
def test_ties_and_signs(x: float) -> None:
    assert as_text(x, 6) == f"{x:.6f}"


@given(st.lists(finite, max_size=20), st.integers(0, 9))
def test_rounded_is_what_reading_back_gives(values: list[float], decimals: int) -> None:
    assert rounded(np.array(values, float), decimals).tolist() == [float(f"{x:.{decimals}f}") for x in values]


@given(st.lists(st.tuples(finite, finite, finite), max_size=10))
def test_parser_equals_float(rows: list[tuple[float, ...]]) -> None:
    text = "header\n" + "".join(f" {a!r}\t{b!r}  {c!r} extra\r\n\n" for a, b, c in rows)
    columns, bad = parse_table(text.encode(), 3, 1)
    assert bad == 0
    assert columns.T.tolist() == [list(row) for row in rows]


@given(st.integers(-(10**17), 10**17), st.integers(0, 17))
def test_plain_decimals_read_like_float(digits: int, decimals: int) -> None:
    text = f"{abs(digits):0{decimals + 1}d}"
    word = ("-" if digits < 0 else "") + (f"{text[:-decimals]}.{text[-decimals:]}" if decimals else text)
    columns, bad = parse_table(f"{word} +{word.lstrip('-')} {word}.\n".encode() if not decimals else
                               f"{word} +{word.lstrip('-')} {word}0\n".encode(), 3)  # fmt: skip
    assert bad == 0
    assert columns[:, 0].tolist() == [float(word), abs(float(word)), float(word)]


def test_columns_and_rows_of_a_table() -> None:
    table = Table(("a", "b", "c"), np.arange(12.0).reshape(3, 4))
    assert table.take(np.array([3, 0])).columns.tolist() == [[3, 0], [7, 4], [11, 8]]
    assert table.take(np.array([False, True, False, True]))["b"].tolist() == [5, 7]
    assert table.take(slice(1, 3))["c"].tolist() == [9, 10]
    picked = table.select(("c", "a"))
    assert (picked.names, picked.columns.tolist()) == (("c", "a"), [[8, 9, 10, 11], [0, 1, 2, 3]])


@pytest.mark.parametrize("word", ["-", "+", ".", "-.", "1..2", "1.2.3", "--1", "1-", "0x", "1e"])
def test_words_that_are_no_numbers(word: str) -> None:
    assert parse_table(f"1\n{word}\n".encode(), 1)[1] == 2


@pytest.mark.parametrize("line", ["1 x 3", "1 2", "1 2 3x", "one", "1,2,3"])
def test_bad_line_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(f"%MergedSpotID\tFrameNr\tPeakID\n1 2 3\n\n{line}\n")
    with pytest.raises(FormatError, match=r"table\.csv, line 4: must hold 3 numbers"):
        merged.MERGE_MAP.read(path)


def test_missing_and_empty_files(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"cannot be read .*; run ff-hkls first"):
        hkls.LAYOUT.read(tmp_path / "hkls.csv")
    (tmp_path / "hkls.csv").touch()
    with pytest.raises(FormatError, match="is empty"):
        hkls.LAYOUT.read(tmp_path / "hkls.csv")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_bytes_of_zero_are_no_text(layout: Layout) -> None:
    """What a disk leaves of a file that was never written is no table without rows."""
    sound = layout.format(Table(layout.names, np.ones((len(layout.columns), 2))))
    for content in (bytes(3000), sound + bytes(10), sound[:-9] + bytes(9)):
        with pytest.raises(FormatError, match=r"x\.csv, line \d+: holds bytes of 0 from byte \d+ on"):
            layout.parse(content, "x.csv")


@pytest.mark.parametrize(
    "read",
    [
        spots.read_seed_ids, partial(spots.read_seed_ids, blanks=True), grains.read_grains, grains.read_crystal,
        grains.read_grain_ids_key, read_fit, read_verdicts, read_sigma, read_shifts, read_ring_intensities, read_tracks,
        read_state_list,
    ],
)  # fmt: skip
@pytest.mark.parametrize("content", [bytes(3000), b"%NumGrains 0\n1 2\n" + bytes(3000)])
def test_no_reader_of_text_takes_bytes_of_zero(tmp_path: Path, read: Callable[[Path], object], content: bytes) -> None:
    (tmp_path / "x.csv").write_bytes(content)
    with pytest.raises(FormatError, match=r"x\.csv"):
        read(tmp_path / "x.csv")


@pytest.mark.parametrize("layout", [merged.RESULT, grains.GRAINS, grains.SPOT_MATRIX])
def test_a_table_that_ends_within_its_header_is_cut_off(layout: Layout) -> None:
    for content in (layout.header[:-3].encode(), layout.header.encode()):
        with pytest.raises(FormatError, match=r"x\.csv: ends within its header; it is cut off"):
            layout.parse(content, "x.csv")
    assert not len(layout.parse(layout.header.encode() + b"\n", "x.csv"))


def test_a_list_of_reflections_without_any(tmp_path: Path) -> None:
    (tmp_path / "hkls.csv").write_text(hkls.LAYOUT.header + "\n")
    with pytest.raises(FormatError, match=r"hkls\.csv: holds no reflections; run ff-hkls again"):
        hkls.LAYOUT.read(tmp_path / "hkls.csv")


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(0, 6))
def test_round_trip(layout: Layout, seed: int, n: int) -> None:
    random = np.random.default_rng(seed)
    rows = max(n, 1 if layout.needed else 0)
    values = random.normal(size=(len(layout.columns), rows)) * 10.0 ** random.integers(-7, 9)
    table = Table(layout.names, values)
    content = layout.format(table)
    read = layout.parse(content, "x")
    assert np.array_equal(read.columns, layout.rounded(table).columns)
    assert layout.format(read) == content


def test_missing_last_columns_read_as_zero() -> None:
    row = " ".join(str(n) for n in range(1, 15))
    table = merged.RESULT.parse(f"{merged.RESULT.header}\n{row}\n".encode(), "x")
    assert table["eta"] == [14.0]
    assert table["raw_sum"] == [0.0]


def test_tables() -> None:
    table = Table.from_columns(("a", "b"), {"a": [1, 2, 3], "b": [4.5, 5, 6]})
    assert table["b"].flags.c_contiguous
    assert table.take(np.array([2, 0]))["a"].tolist() == [3, 1]
    assert len(concatenate([table, table])) == 6
    assert table.integers("b").tolist() == [4, 5, 6]
    with pytest.raises(ValueError, match="names"):
        Table(("a",), np.zeros((2, 3)))


@pytest.mark.golden
@pytest.mark.parametrize("name", ["au3", "ds1", "ds2"])
def test_golden_files_round_trip(golden, name: str) -> None:
    folder = golden(name)
    frames = {"au3": 1440}.get(name, 360)
    layouts = LAYOUTS | {
        f"Result_StartNr_1_EndNr_{frames}.csv": merged.RESULT,
        f"Radius_StartNr_1_EndNr_{frames}.csv": radius.LAYOUT,
        f"Temp/{name}.MIDAS.zip_000004_PS.csv": peaks.LAYOUT,
    }
    for file, layout in layouts.items():
        content = (folder / file).read_bytes()
        assert layout.format(layout.parse(content, file)) == content


@pytest.mark.golden
def test_golden_pixel_lists_round_trip(golden) -> None:
    for path in sorted((golden("ds1") / "Temp").glob("*_PX.bin"))[:20]:
        assert peaks.format_pixels(peaks.read_pixels(path)) == path.read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 7, b"\x08\0\0\0\x01\0\0\0", b"\x08\0\0\0\x01\0\0\0\x02\0\0\0\1\0\1\0", b"\x08\0\0\0\0\0\0\0\0"],
    ids=["empty", "short", "no record", "cut record", "surplus"],
)
def test_damaged_pixel_lists(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x_PX.bin"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=r"x_PX\.bin"):
        peaks.read_pixels(path)
