"""Consolidated HDF5 files, as results are read from them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path

import h5py
import numpy as np

from midas.formats import spots
from midas.formats.geometry import read_geometry
from midas.formats.grains import GRAINS, SPOT_MATRIX
from midas.formats.layer import Layer
from midas.results.reading.hdf5_file import FileOrigin
from midas.runtime.errors import MidasError

from ..harness import Target
from ..mutations import BYTES, mixed
from ..structures import hdf5_block

_NUMBERS = count()
_TABLES = (
    "radius", "id_rings", "extra_info", "merged", "merge_map", "peaks", "sigma", "covariance", "quality", "owners",
)  # fmt: skip


def _write(file: h5py.File) -> None:
    grains, spot_rows = len(GRAINS.columns), len(SPOT_MATRIX.columns)
    summary = np.ones((2, grains))
    summary[:, GRAINS.names.index("GrainID")] = 1, 2
    orientation, cell = GRAINS.names.index("O11"), GRAINS.names.index("a")
    summary[:, orientation : orientation + 9] = np.eye(3).ravel()
    summary[:, cell : cell + 6] = 4.08, 4.08, 4.08, 90, 90, 90
    matrix = np.ones((4, spot_rows))
    matrix[:, SPOT_MATRIX.names.index("GrainID")] = 1, 1, 2, 2
    file["grains/summary"], file["spot_matrix/data"] = summary, matrix
    file["id_rings/data"] = np.ones((3, len(spots.ID_RINGS.columns)))
    file.create_dataset("all_spots/data", data=np.ones((3, 14)), chunks=(2, 14), compression="gzip", shuffle=True)
    file["parameters/SpaceGroup"], file["parameters/LatticeParameter"] = 225.0, [4.08, 4.08, 4.08, 90, 90, 90]
    file["parameters/GrainMerging"] = "spots"
    file["parameters"].attrs["RingsToReject"] = "['1', '2']"
    file["raw_data_ref/zarr_path"] = "scan.MIDAS.zip"
    file.attrs.update({"program": "midas", "version": "1", "date": "today", "inputs": "[]"})
    file["geometry/names"], file["geometry/covariance"] = ["Lsd", "ty"], np.eye(2)
    file["geometry"].attrs.update({"trust": "mean", "z0": "free"})


def corpus() -> Mapping[str, bytes]:
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for library in ("earliest", "latest"):
            path = Path(folder, f"{library}_consolidated.h5")
            with h5py.File(path, "w", libver=library) as file:
                _write(file)
            found[library] = path.read_bytes()
    return found


def run(data: bytes, folder: Path) -> None:
    """All that there is; what is wrong with the first of it is enough."""
    layer = Layer(folder, folder / f"scan{next(_NUMBERS)}.MIDAS.zip")
    path = layer.consolidated
    path.write_bytes(data)
    origin = FileOrigin(path)
    errors = []
    questions = [lambda: origin.grains, lambda: origin.crystal, lambda: origin.parameters, origin.spot_starts]
    questions += [lambda: origin.record, lambda: read_geometry(layer)]
    questions += [lambda name=name: getattr(origin, name) for name in _TABLES]
    for question in questions:
        try:
            question()
        except MidasError as error:
            errors.append(error)
    if errors:
        raise errors[0]


TARGETS = (Target("results", run, corpus, mixed((*BYTES, (12, hdf5_block))), contained=True),)
