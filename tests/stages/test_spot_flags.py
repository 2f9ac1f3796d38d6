"""The way of the saturation flags from merged spots to spots and grains (docs/theory/fit_setup.md#saturated-spots)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from midas.experiment.spot_flags import read_spot_flags
from midas.formats.layer import Layer
from midas.formats.merged import MERGE_FLAGS, RESULT
from midas.formats.radius import LAYOUT as RADIUS
from midas.formats.spots import SPOT_FLAGS, SpotTables
from midas.formats.table import Table
from midas.runtime.errors import FormatError
from midas.stages.grains.saturated import warn_of_saturated

from .sized_peaks import FRAMES, THETAS

#: of five merged spots, the second beside all rings; sorted by ring and omega they are the spots 4, -, 1, 3, 2
RING = np.array([2, 0, 1, 2, 1])
OMEGA = np.array([40.0, 10.0, 20.0, 10.0, 30.0])


@pytest.fixture
def flag(setup: Callable[..., SpotTables], tmp_path: Path) -> Callable[..., Layer]:
    """The setup after a merge with these flags: merged id, frames, saturated ones, unfitted ones."""

    def run(*flags: tuple[int, int, int, int], merged: int = 5, text: str = "") -> Layer:
        layer = Layer(tmp_path, tmp_path / "scan.MIDAS.zip")
        theta = np.array([THETAS.get(ring, 7.0) for ring in RING.tolist()])
        distance = 1e6 * np.tan(np.radians(2 * theta)) / 200
        columns: dict[str, np.ndarray] = {name: np.zeros(5) for name in (*RESULT.names, *RADIUS.names)}
        columns |= {"y_recorded": 1022 + distance, "z_recorded": np.full(5, 1022.0), "eta": np.full(5, 90.0)}
        columns |= {"spot_id": np.arange(1.0, 6), "omega_recorded": OMEGA, "frames": np.ones(5), "ring": RING * 1.0}
        RESULT.write(layer.merged(FRAMES), Table.from_columns(RESULT.names, columns).take(np.arange(merged)))
        on_rings = {name: column[RING > 0] for name, column in columns.items()} | {"spot_id": np.arange(1.0, 5)}
        layer.merge_flags.unlink(missing_ok=True)
        if flags:
            MERGE_FLAGS.write(layer.merge_flags, Table(MERGE_FLAGS.names, np.array(flags, float).T))
        setup(Table.from_columns(RADIUS.names, on_rings), f"Width 1500\n{text}")
        return layer

    return run


def test_flags_follow_their_spots(flag: Callable[..., Layer]) -> None:
    layer = flag((2, 1, 1, 0), (4, 3, 1, 1), (5, 2, 2, 0))
    assert layer.spot_flags.read_text().splitlines() == [SPOT_FLAGS.header, "2 1 2 2 0", "3 2 3 1 1"]
    flags = read_spot_flags(layer, 4)
    assert flags.saturated.tolist() == [False, True, True, False]
    assert flags.unfitted.tolist() == [False, False, True, False]
    for others in ((), ((2, 1, 1, 0),)):  # none, none on a ring
        layer = flag(*others)
        assert not layer.spot_flags.exists()
        assert not read_spot_flags(layer, 4).saturated.any()


def test_flags_that_fit_nothing_are_errors(flag: Callable[..., Layer]) -> None:
    with pytest.raises(FormatError, match=r"MergeFlags\.csv: .*not among the 5.*ff-merge"):
        flag((6, 1, 1, 0))
    with pytest.raises(FormatError, match=r"Radius_.*\.csv: .*ff-radius"):
        flag((1, 1, 1, 0), merged=2)
    layer = flag((1, 1, 1, 0))
    with pytest.raises(FormatError, match=r"SpotFlags\.csv: .*not among the 3.*ff-setup"):
        read_spot_flags(layer, 3)


def test_grains_count_their_saturated_spots(flag: Callable[..., Layer], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    owners = Table(("GrainID", "SpotID"), np.array([[7.0, 7, 7, 9, 9, 11], [1, 2, 3, 3, 4, 1]]))
    layer = flag((4, 3, 1, 0), (5, 2, 2, 0))
    warn_of_saturated(layer, owners)
    assert "3 spots of 2 of the 3 grains are saturated" in caplog.text
    caplog.clear()
    warn_of_saturated(flag(), owners)
    assert "saturated" not in caplog.text
