"""The provenance of the spots in the archive (docs/formats.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.archive import Archive
from midas.formats.grains import SPOT_MATRIX
from midas.formats.layer import Layer
from midas.formats.table import Table
from midas.results.consolidated import provenance
from midas.results.tables.sources import LayerTables
from midas.runtime.errors import ArchiveError


@pytest.fixture
def layer(golden_copy: Callable[..., Path]) -> Layer:
    folder = golden_copy("ds2", "ds2.MIDAS.zip", "MergeMap.csv", "IDRings.csv", "SpotMatrix.csv")
    return Layer(folder, folder / "ds2.MIDAS.zip")


@pytest.mark.golden
def test_the_archive_holds_the_tables_and_everything_else_as_before(layer: Layer) -> None:
    assert layer.archive is not None
    with Archive(layer.archive) as archive:
        before = {name: archive.dataset(name).read() for name in archive.datasets("analysis")}  # type: ignore[union-attr]
        frame = archive.frames[17]
    assert provenance.append(layer)
    with Archive(layer.archive) as archive:
        for name, value in before.items():
            np.testing.assert_array_equal(archive.dataset(name).read(), value)  # type: ignore[union-attr]
        np.testing.assert_array_equal(archive.frames[17], frame)
        for group, file, names in (
            ("merge_map", "MergeMap.csv", ("mergedspotid", "framenr", "peakid")),
            ("grain_spots", "SpotMatrix.csv", ("grain_ids", "spot_ids")),
            ("id_rings", "IDRings.csv", ("ringnumber", "originalid", "newid")),
        ):
            table = np.loadtxt(layer.folder / file, skiprows=1)
            for column, name in enumerate(names):
                stored = archive.dataset(f"analysis/provenance/{group}/{name}")
                assert stored is not None
                values = stored.read()
                assert values.dtype == np.int64
                np.testing.assert_array_equal(values, table[:, column])


@pytest.mark.golden
def test_a_second_run_changes_nothing_and_a_new_result_replaces_the_old(layer: Layer) -> None:
    assert layer.archive is not None
    provenance.append(layer)
    first = layer.archive.read_bytes()
    assert not provenance.append(layer)
    assert layer.archive.read_bytes() == first
    none = Table(SPOT_MATRIX.names, np.empty((12, 0)))
    assert provenance.append(layer, tables=LayerTables(spot_matrix=none))
    with Archive(layer.archive) as archive:
        stored = archive.dataset("analysis/provenance/grain_spots/spot_ids")
        assert stored is not None and stored.read().tolist() == [-1]


def test_a_run_from_a_spot_table_has_no_archive(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no archive"):
        provenance.append(Layer(tmp_path))
