"""Fixtures of the stages' tests."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from midas.archive import Archive, ArchiveWriter
from midas.formats import hkls, radius
from midas.formats.layer import Layer
from midas.formats.spots import SpotTables
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.stages import fit_setup

from .sized_peaks import FRAMES, REGION, SOME, TEXT, hkl_table
from .small_scan import Scan


@pytest.fixture
def small_scan(tmp_path: Path) -> Callable[..., Scan]:
    numbers = itertools.count()

    def make(frames: np.ndarray, text: str = "", **options: Any) -> Scan:
        return Scan(tmp_path / f"layer{next(numbers)}", np.asarray(frames), text, **options)

    return make


@pytest.fixture
def setup(tmp_path: Path) -> Callable[..., Any]:
    """``setup(peaks, "Key value ...")``: an archive and its tables in a folder, and the stage run on them."""

    def run(
        peaks: Table = SOME,
        extra: str = "",
        *,
        rings: tuple[int, ...] = (1, 2),
        region: str = REGION,
        without: tuple[str, ...] = (),
        reflections: Table | None = None,
        frames: tuple[int, int, int] = (FRAMES, 8, 8),
        skipped: int = 0,
        **options: Any,
    ) -> SpotTables:
        layer = Layer(tmp_path, tmp_path / "scan.MIDAS.zip")
        thresholds = "".join(f"RingThresh {ring} 10\n" for ring in rings)
        parameters = Parameters.parse(TEXT + thresholds + region + extra, "ps.txt").without(*without)
        with ArchiveWriter(layer.archive, frames, np.uint16) as writer:
            writer.add_frames("exchange/data", frames, (np.zeros(frames[1:], np.uint16) for _ in range(frames[0])))
            writer.add_parameters(parameters)
        radius.LAYOUT.write(layer.radius(frames[0] - skipped), peaks)
        hkls.LAYOUT.write(layer.hkls, reflections or hkl_table())
        with Archive(layer.archive) as archive:
            parameters = archive.parameters
        return fit_setup.run(layer, parameters, threads=1, **options).data

    return run
