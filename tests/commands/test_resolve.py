"""``ff-resolve`` on the layer of a whole run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from midas.archive.update import update
from midas.formats.resolved import GRAIN_QUALITY, SPOT_OWNERS, VERDICTS, read_verdicts

FILES = ("Grains.csv", "SpotMatrix.csv", "GrainIDsKey.csv", "SpotOwners.csv", "GrainQuality.csv", "SeedVerdicts.csv")

Call = Callable[..., int]


@pytest.fixture
def layer(finished: tuple[Path, object], tmp_path: Path) -> Path:
    folder = tmp_path / "LayerNr_1"
    shutil.copytree(finished[0], folder, symlinks=True, ignore=shutil.ignore_patterns("Temp", "midas_log"))
    return folder


def test_a_layer_folder(layer: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    """The same bytes as from the driver and from ff-grains."""
    before = {name: (layer / name).read_bytes() for name in FILES}
    archive = next(layer.glob("*.MIDAS.zip"))
    for cwd, command in (
        (layer.parent, ("ff-resolve", layer.name, 1)),
        (layer, ("ff-resolve",)),
        (layer, ("ff-grains", archive.name)),
    ):
        for name in FILES:
            (layer / name).unlink()
        assert in_process(*command, cwd=cwd) == 0
        assert not list(layer.glob("*_consolidated.h5"))
        assert {name: (layer / name).read_bytes() for name in FILES} == before
    said = capsys.readouterr()
    assert "4 crystals" in said.out
    assert (said.out + said.err).count(f"ff-midas -resultFolder {layer.resolve()} -reprocess 1") == 1


def test_what_is_in_the_tables_is_in_the_hdf5_file(finished: tuple[Path, object]) -> None:
    folder = finished[0]
    tables = {
        "spot_owners": SPOT_OWNERS.read(folder / "SpotOwners.csv"),
        "grain_quality": GRAIN_QUALITY.read(folder / "GrainQuality.csv"),
        "seed_verdicts": read_verdicts(folder / "SeedVerdicts.csv"),
    }
    with h5py.File(next(folder.glob("*_consolidated.h5"))) as file:
        assert file["parameters/GrainMerging"][()] == b"spots"
        for name, table in tables.items():
            data = file[f"resolve/{name}/data"]
            np.testing.assert_array_equal(data[:], table.columns.T)
            assert list(data.attrs["column_names"]) == list(table.names)
        assert list(file["resolve/seed_verdicts/data"].attrs["verdicts"]) == list(VERDICTS)


def test_what_it_refuses(layer: Path, in_process: Call, capsys: pytest.CaptureFixture[str]) -> None:
    archive = next(layer.glob("*.MIDAS.zip"))
    shutil.copy(archive, layer / "second.MIDAS.zip")
    assert in_process("ff-resolve", cwd=layer) == 2
    assert "holds several archives" in capsys.readouterr().err
    (layer / "second.MIDAS.zip").unlink()
    update(archive, "GrainMerging", ["legacy"])
    assert in_process("ff-resolve", cwd=layer) == 1
    assert "spots have no owners with GrainMerging legacy" in capsys.readouterr().err
    assert (layer / "SpotOwners.csv").exists()
    (layer / "paramstest.txt").unlink()
    assert in_process("ff-resolve", cwd=layer) == 1
    assert "paramstest.txt" in capsys.readouterr().err
