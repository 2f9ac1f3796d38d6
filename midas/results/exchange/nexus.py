"""NeXus: the grains, their crystal and their instrument as base classes (docs/exports.md#nexus).

There is no application definition for grains that diffraction found, so that the file names none; groups and units are
those of NXentry, NXprocess, NXsample, NXinstrument, NXcoordinate_system and NXdata.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from midas._version import __version__
from midas.experiment.orientation import quaternions_from_matrices
from midas.formats.hdf5_links import children, item_at
from midas.formats.hdf5_values import values
from midas.results.exchange.exported import Exported, Files
from midas.results.exchange.instrument import detector_of
from midas.results.exchange.lists import grain_list
from midas.results.grain_list import GrainList
from midas.runtime.errors import FormatError, one_line
from midas.runtime.files import readable
from midas.runtime.provenance import command_line, now

_GRAINS, _SAMPLE = "entry/grains", "entry/sample"
_FRAME = "a* along x, c along z (Busing and Levy)"


def files(exported: Exported) -> Files:
    """A ``.nxs``."""
    memory = BytesIO()
    with h5py.File(memory, "w") as file:
        file.attrs["default"] = "entry"
        entry = _group(file, "entry", "NXentry")
        entry.attrs["default"] = "grains"
        _put(entry, "title", readable(f"grains of {exported.file.name}"))
        process = _group(entry, "process", "NXprocess")
        for name, text in {
            "program": "midas",
            "version": __version__,
            "date": now(),
            "command": command_line(),
        }.items():
            _put(process, name, text)
        _put(process, "note", "\n".join(exported.header))
        _sample(entry, exported)
        _axes(entry)
        _instrument(entry, exported)
        _grains(entry, exported)
    return {".nxs": memory.getvalue()}


def _group(parent: h5py.Group, name: str, kind: str) -> h5py.Group:
    group = parent.create_group(name)
    group.attrs["NX_class"] = kind
    return group


def _put(group: h5py.Group, name: str, value: ArrayLike, units: str = "", **attributes: str) -> None:
    data = group.create_dataset(name, data=value)
    for key, text in {"units": units, **attributes}.items():
        if text:
            data.attrs[key] = text


def _sample(entry: h5py.Group, exported: Exported) -> None:
    sample = _group(entry, "sample", "NXsample")
    _put(sample, "name", readable(exported.file.resolve().parent.name))
    if exported.grains.space_group is not None:
        _put(sample, "space_group", str(exported.grains.space_group))
    if exported.grains.cell is not None:
        cell = np.array(exported.grains.cell)
        _put(sample, "unit_cell_abc", cell[:3], "angstrom", long_name="a, b, c of the unstrained crystal")
        _put(sample, "unit_cell_alphabetagamma", cell[3:], "degrees", long_name="alpha, beta, gamma of it")


def _axes(entry: h5py.Group) -> None:
    axes = _group(entry, "sample_frame", "NXcoordinate_system")
    for name, text in {
        "origin": "where the beam crosses the rotation axis",
        "handedness": "right_handed",
        "x_alias": "X",
        "x_direction": "along the beam, downstream, at omega 0",
        "y_alias": "Y",
        "y_direction": "to the left looking downstream, at omega 0",
        "z_alias": "Z",
        "z_direction": "up along the rotation axis; omega is right-handed about it",
    }.items():
        _put(axes, name, text)


def _instrument(entry: h5py.Group, exported: Exported) -> None:
    detector = detector_of(exported.results)
    if detector is None:
        return
    instrument = _group(entry, "instrument", "NXinstrument")
    beam = _group(instrument, "beam", "NXbeam")
    _put(beam, "incident_wavelength", detector.known_wavelength(), "angstrom")
    group = _group(instrument, "detector", "NXdetector")
    _put(group, "distance", detector.lsd, "um")
    _put(group, "beam_center_x", detector.y_bc, "pixel", long_name="column, which grows to the right")
    _put(group, "beam_center_y", detector.z_bc, "pixel", long_name="row, which grows upwards")
    _put(group, "x_pixel_size", detector.px, "um")
    _put(group, "y_pixel_size", detector.px, "um")


def _grains(entry: h5py.Group, exported: Exported) -> None:
    grains = exported.grains
    data = _group(entry, "grains", "NXdata")
    data.attrs["signal"], data.attrs["axes"] = "radius", ["grain_id"]
    frame = {"crystal_frame": _FRAME, "depends_on": "/entry/sample_frame"}
    quaternions = quaternions_from_matrices(grains.orientations)
    _put(data, "grain_id", grains.ids)
    _put(data, "radius", grains.radii, "um", long_name="of the sphere of the grain's volume")
    _put(data, "position", grains.positions, "um", depends_on="/entry/sample_frame")
    _put(data, "orientation", grains.orientations, long_name="U, crystal to sample: v_sample = U v_crystal", **frame)
    _put(data, "quaternion", quaternions, long_name="of U, scalar first", **frame)
    _put(data, "unit_cell", grains.cells, long_name="a, b, c (angstrom), alpha, beta, gamma (degrees)")
    _put(data, "completeness", grains.completeness, long_name="part of the expected spots that was found")
    _put(data, "strain", grains.strains, "1e-6", depends_on="/entry/sample_frame")


def is_nexus(file: h5py.File) -> bool:
    """Whether an HDF5 file is one of ours."""
    return item_at(file, f"{_GRAINS}/orientation") is not None


def _arrays(file: h5py.File, name: str) -> dict[str, NDArray[Any]]:
    group = item_at(file, name)
    if not isinstance(group, h5py.Group):
        return {}
    return {key: values(item) for key, item in children(group) if isinstance(item, h5py.Dataset)}


def parse_nexus(path: str | os.PathLike[str], file: h5py.File) -> GrainList:
    """The grains of a ``.nxs`` of ours."""
    try:
        arrays: Mapping[str, ArrayLike] = _arrays(file, _GRAINS)
        sample = _arrays(file, _SAMPLE)
        group = int(sample["space_group"]) if "space_group" in sample else None
        names = ("unit_cell_abc", "unit_cell_alphabetagamma")
        cell = np.concatenate([sample[name] for name in names]) if names[0] in sample else None
        return grain_list(
            *(path, arrays["grain_id"], arrays["orientation"], arrays["position"]),
            cells=arrays["unit_cell"],
            radii=arrays["radius"],
            completeness=arrays["completeness"],
            strains=arrays["strain"],
            space_group=group,
            cell=None if cell is None else tuple(cell.tolist()),
        )
    except (KeyError, TypeError, ValueError, OSError, RuntimeError) as error:
        raise FormatError(f"has no readable grains ({one_line(error)})", file=path, key=_GRAINS) from None
