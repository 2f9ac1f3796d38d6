"""Layers of the legacy runs up to the indexing, and the stage run on them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from midas.formats.layer import Layer
from midas.parameters import Parameters
from midas.runtime.parallel import SERIAL, Communicator
from midas.stages import indexing

Copy = Callable[..., Path]
INPUTS = ("hkls.csv", "SpotsToIndex.csv", "Spots.bin", "paramstest.txt")


def prepared(golden_copy: Copy, name: str = "au3") -> Layer:
    folder = golden_copy(name, *INPUTS)
    (folder / "Output").mkdir(exist_ok=True)
    return Layer(folder)


def parameters(layer: Layer, **changes: Any) -> Parameters:
    legacy = {"WedgeModel": "legacy", "TiltModel": "legacy"}
    return Parameters.read(layer.paramstest, "paramstest").changed(**{**legacy, **changes})


def run(layer: Layer, *, threads: int = 1, comm: Communicator = SERIAL, seed_count: int | None = None, **changes: Any):
    return indexing.run(layer, parameters(layer, **changes), threads=threads, comm=comm, seed_count=seed_count)


def files(layer: Layer) -> tuple[bytes, bytes]:
    return layer.index_best.read_bytes(), layer.index_best_full.read_bytes()


def keep_spots(layer: Layer, keep: Callable[[np.ndarray], np.ndarray]) -> None:
    """Reject the other spots: their rows stay, all zero but the id."""
    spots = np.fromfile(layer.spots_binary).reshape(-1, 9)
    rejected = ~keep(spots)
    spots[rejected] = np.where(np.arange(9) == 4, spots[rejected], 0.0)
    spots.tofile(layer.spots_binary)
