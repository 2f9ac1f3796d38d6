"""The indexing stage: the detector mask, and bad input."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np
import pytest

from midas.commands import run as cli
from midas.runtime.errors import FormatError, MidasError, OutputError, ParameterError
from midas.runtime.files import remove
from midas.stages import indexing

from .golden_seeds import files, keep_spots, parameters, prepared, run

# ---------------------------------------------------------------- bad input


@pytest.mark.golden
def test_start_spots_that_cannot_be_indexed_leave_empty_slots(golden_copy, caplog):
    layer = prepared(golden_copy)
    keep_spots(layer, lambda spots: spots[:, 4] != 52)
    layer.spots_to_index.write_text("50\n\n9999\n52\n51 77\n")
    with caplog.at_level(logging.WARNING):
        data = run(layer).data
    assert list(data.found) == [True, False, False, False, True]
    assert "start spot 9999 is not in Spots.bin" in caplog.text
    assert "start spot 52 lies on no ring in use" in caplog.text


@pytest.mark.golden
def test_ids_that_are_not_row_numbers_are_found(golden_copy):
    layer = prepared(golden_copy)
    data = run(layer).data
    spots = np.fromfile(layer.spots_binary).reshape(-1, 9)
    spots[:, 4] += 1000
    spots.tofile(layer.spots_binary)
    ids = np.loadtxt(layer.spots_to_index, dtype=int)
    layer.spots_to_index.write_text("".join(f"{spot_id + 1000}\n" for spot_id in ids))
    moved = run(layer).data
    np.testing.assert_array_equal(moved.best, data.best)
    np.testing.assert_array_equal(moved.ids, data.ids + 1000)


@pytest.mark.golden
def test_the_detector_mask(golden_copy):
    """Bit k of the words is pixel k; spots on pixels without a 1 are not expected (docs/theory/region.md#mask)."""
    layer = prepared(golden_copy)
    side = 2048
    every = np.full(side * side // 32, 0xFFFFFFFF, "<u4")
    mask = layer.folder / "BigDetectorMask.bin"
    every.tofile(mask)
    plain = run(layer).data
    np.testing.assert_array_equal(run(layer, BigDetSize=side).data.best, plain.best)
    pixels = np.ones((side, side), bool)
    pixels[side // 2 :] = False  # z >= 0 unseen
    np.packbits(pixels.ravel(), bitorder="little").tofile(mask)
    half = run(layer, BigDetSize=side).data
    assert half.found.all() and (half.column("expected") < 0.6 * plain.column("expected")).all()
    z = np.fromfile(layer.spots_binary).reshape(-1, 9)[half.ids - 1, 1]
    assert (z < 2000).all()
    every[:100].tofile(mask)
    with pytest.raises(FormatError, match="too few for the pixels of BigDetSize 2048"):
        run(layer, BigDetSize=side)


BAD_VALUES: list[tuple[dict[str, Any], type[MidasError], str]] = [
    ({"StepSizePos": 0.5}, ParameterError, "StepSizePos: 0.5: must be at least 1"),
    ({"StepSizeOrient": 0.0}, ParameterError, "StepSizeOrient"),
    ({"OmeBinSize": -0.1}, ParameterError, "OmeBinSize"),
    ({"EtaBinSize": 0.0}, ParameterError, "EtaBinSize"),
    ({"Lsd": 0.0}, ParameterError, "Lsd"),
    ({"RingRadii": ()}, ParameterError, "RingRadii"),
    ({"RingNumbers": (1, 2)}, ParameterError, "RingNumbers"),
    ({"RingNumbers": (1, 2, 3, 4, 99)}, ParameterError, "ring 99 has no reflection"),
    ({"RingRadii": (0.0, 1.0, 1.0, 1.0, 1.0)}, ParameterError, "ring 1 must have a radius"),
    ({"OmegaRange": ((-90.0, 0.0), (0.0, 90.0)), "BoxSize": ((-1.0, 1.0, -1.0, 1.0),) * 3}, ParameterError, "BoxSize"),
    ({"SpaceGroup": 231}, ParameterError, "SpaceGroup"),
    ({"BigDetSize": -1}, ParameterError, "BigDetSize"),
    ({"GrainsFile": "none.csv"}, FormatError, "none.csv"),
]


@pytest.mark.golden
@pytest.mark.parametrize(("changes", "kind", "message"), BAD_VALUES)
def test_bad_values_are_named_and_old_results_stay(golden_copy, changes, kind, message):
    layer = prepared(golden_copy)
    layer.index_best.write_bytes(b"old")
    with pytest.raises(kind, match=message.replace(".", r"\.")):
        run(layer, **changes)
    assert [path.name for path in layer.output.iterdir()] == ["IndexBest.bin"]
    assert layer.index_best.read_bytes() == b"old"


@pytest.mark.golden
@pytest.mark.parametrize("missing", ["hkls.csv", "SpotsToIndex.csv", "Spots.bin", "Output"])
def test_missing_inputs_are_named(golden_copy, missing):
    layer = prepared(golden_copy)
    path = layer.folder / missing
    p = parameters(layer)
    path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(OutputError if missing == "Output" else FormatError, match=missing):
        indexing.run(layer, p, threads=1)


@pytest.mark.golden
@pytest.mark.parametrize("key", ["SpaceGroup", "Lsd", "Rsample", "Hbeam"])
def test_missing_keys_are_named(golden_copy, key):
    layer = prepared(golden_copy)
    with pytest.raises(ParameterError, match=f"paramstest.txt: {key}"):
        indexing.run(layer, parameters(layer).without(key), threads=1)


@pytest.mark.golden
def test_empty_spots(golden_copy):
    layer = prepared(golden_copy)
    layer.spots_binary.write_bytes(b"")
    with pytest.raises(FormatError, match=r"Spots\.bin: holds no spots"):
        run(layer)


@pytest.mark.golden
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_impossible_spots_are_refused(golden_copy, value):
    layer = prepared(golden_copy)
    spots = np.fromfile(layer.spots_binary).reshape(-1, 9)
    spots[7, 2] = value
    spots.tofile(layer.spots_binary)
    with pytest.raises(FormatError, match="row 7 holds no spot"):
        run(layer)


@pytest.mark.golden
def test_no_limit_without_ranges(golden_copy):
    layer = prepared(golden_copy)
    limited = run(layer).data
    np.testing.assert_array_equal(run(layer, OmegaRange=(), BoxSize=()).data.best, limited.best)
    np.testing.assert_array_equal(run(layer, BoxSize=()).data.best, limited.best)
    np.testing.assert_array_equal(run(layer, OmegaRange=()).data.best, limited.best)
    half = run(layer, OmegaRange=((-90.0, 90.0),), BoxSize=()).data
    assert (half.column("expected") < limited.column("expected"))[half.found].all()


@pytest.mark.golden
def test_the_command_line(golden_copy, monkeypatch, capfd):
    layer = prepared(golden_copy)
    run(layer)
    whole = files(layer)
    remove(layer.index_best, layer.index_best_full)
    monkeypatch.chdir(layer.folder)
    for block in (1, 0):
        assert cli.run("IndexerOMP", ["paramstest.txt", str(block), "2", "18", "1"]) == 0
    assert files(layer) == whole
    out, err = capfd.readouterr()
    assert err == "" and "IDNr: 0, Total: 9, ID: 50, Confidence: 1.000000" in out and "Finished, time elapsed" in out
    os.remove("hkls.csv")
    assert cli.run("IndexerOMP", ["paramstest.txt", "0", "1", "18", "1"]) == 1
    assert capfd.readouterr().err.count("\n") == 1
