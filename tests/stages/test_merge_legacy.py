"""Peak merging on the legacy runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.archive import Archive
from midas.formats.layer import Layer
from midas.formats.merged import MERGE_MAP, RESULT
from midas.formats.peaks import LAYOUT, read_pixels
from midas.stages import merge

from .searched_layer import links


@pytest.mark.golden
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("name", "frames"), [("au3", 1440), ("ds1", 360), ("ds2", 360)])
def test_equals_golden(name: str, frames: int, threads: int, golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy(name, f"{name}.MIDAS.zip", "Temp", f"Result_StartNr_1_EndNr_{frames}.csv", "MergeMap.csv")
    layer = Layer(folder, folder / f"{name}.MIDAS.zip")
    expected = layer.merged(frames).read_bytes(), layer.merge_map.read_bytes()
    with Archive(layer.archive) as archive:
        values = archive.parameters
    result = merge.run(layer, values, threads=threads)
    assert (layer.merged(frames).read_bytes(), layer.merge_map.read_bytes()) == expected
    spots, constituents = result.data
    assert np.array_equal(spots.columns, RESULT.read(layer.merged(frames)).columns)
    assert np.array_equal(constituents.columns, MERGE_MAP.read(layer.merge_map).columns)
    check_invariants(layer, frames, result)
    peaks = [(LAYOUT.read(layer.peaks(f)), read_pixels(layer.peak_pixels(f))) for f in range(1, frames + 1)]
    merge.run(layer, values, threads=threads, peaks=peaks)
    assert (layer.merged(frames).read_bytes(), layer.merge_map.read_bytes()) == expected


def check_invariants(layer: Layer, frames: int, result: merge.StageResult) -> None:
    spots, constituents = result.data
    tables = [LAYOUT.read(layer.peaks(frame)) for frame in range(1, frames + 1)]
    strong = {(f, int(p)) for f, t in enumerate(tables, 1) for p in t["peak_id"][t["intensity"] >= 1]}
    found = links(result)
    flat = [entry for spot in found for entry in spot]
    assert len(flat) == len(set(flat)) == len(constituents)
    assert set(flat) == strong
    for spot in found:
        assert [frame for frame, _ in spot] == list(range(spot[0][0], spot[0][0] - len(spot), -1))
    ends = [spot[0][0] for spot in found]
    assert ends == sorted(ends)
    for name in ("intensity", "raw_sum"):
        total = sum(t[name][t["intensity"] >= 1].sum() for t in tables)
        assert spots[name].sum() == pytest.approx(total, abs=1e-6 * len(constituents))
    assert np.all(spots["min_omega"] <= spots["omega_recorded"] + 1e-6)
    assert np.all(spots["omega_recorded"] <= spots["max_omega"] + 1e-6)


@pytest.mark.golden
def test_pixel_mode_on_the_reference_run(golden_copy: Callable[..., Path]) -> None:
    folder = golden_copy("au3", "au3.MIDAS.zip", "Temp")
    layer = Layer(folder, folder / "au3.MIDAS.zip")
    with Archive(layer.archive) as archive:
        values = archive.parameters
    by_distance = {tuple(spot) for spot in links(merge.run(layer, values, threads=2))}
    result = merge.run(layer, values.changed(UsePixelOverlap=1), threads=2)
    check_invariants(layer, 1440, result)
    by_pixels = {tuple(spot) for spot in links(result)}
    assert len(by_distance) == 292
    assert len(by_pixels) == 288
    assert by_pixels - by_distance == {((f + 1, 1), (f, 1)) for f in (190, 249, 910, 969)}
    # What the legacy pairing by bare index got wrong.
    right = [[(390, 1), (391, 3)], [(391, 1), (392, 1)], [(1068, 1), (1069, 2)], [(1110, 1), (1111, 3)]]
    right += [[(1111, 1), (1112, 1)], [(1230, 1), (1231, 1)]]
    assert {tuple(reversed(spot)) for spot in right} <= by_pixels
