"""``Tracks.h5``: the tracks of a series as arrays (docs/tracking.md#tracksh5)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from midas._version import __version__
from midas.results.hdf5.writing import Group, atomic_hdf5
from midas.results.matching.tracking import STATES
from midas.results.matching.tracks import Tracks
from midas.runtime.provenance import command_line, fingerprint, now


def write_hdf5(path: Path, tracks: Tracks, inputs: Sequence[str | os.PathLike[str]]) -> None:
    """Write the file, complete or not at all."""
    with atomic_hdf5(path) as root:
        root.attach(program="ff-track", version=__version__, date=now(), command=command_line())
        _steps(root.group("steps"), tracks, inputs)
        _tracks(root.group("tracks"), tracks)
        _motion(root.group("motion"), tracks)
        doubts = root.group("ambiguous")
        rows = np.array([(d.step, d.track, d.row) for d in tracks.series.doubts], np.int64).reshape(-1, 3)
        ids = _grain_ids(tracks)
        doubts.put("step", rows[:, 0] + 1)
        doubts.put("track_id", rows[:, 1] + 1)
        doubts.put("grain_id", np.array([ids[step, row] for step, _, row in rows.tolist()], np.int64))


def _steps(group: Group, tracks: Tracks, inputs: Sequence[str | os.PathLike[str]]) -> None:
    group.attach_names("names", tracks.names)
    group.attach_names("files", [str(path) for path in inputs])
    group.attach_names("sha256", [fingerprint(path).sha256 for path in inputs])
    group.put("grains", (tracks.grain_ids >= 0).sum(axis=0))


def _tracks(group: Group, tracks: Tracks) -> None:
    series = tracks.series
    group.attach(axes="track, step")
    group.put("track_id", np.arange(1, len(tracks) + 1))
    group.put("grain_id", tracks.grain_ids)
    group.put("state", series.states, meaning=", ".join(f"{number} {name}" for number, name in enumerate(STATES)))
    values: dict[str, tuple[ArrayLike, str]] = {
        "position": (tracks.positions, "um"),
        "expected_position": (series.expected_positions, "um"),
        "orientation": (tracks.orientations, ""),
        "displacement": (tracks.displacements, "um"),
        "rotation": (tracks.rotations, "degrees"),
        "radius": (tracks.radii, "um"),
        "completeness": (tracks.completeness, ""),
        "strain": (tracks.strains, "1e-6"),
        "stress": (tracks.stresses, "MPa"),
        "sigma_position": (tracks.sigmas[..., 0:3], "um"),
        "sigma_rotation": (tracks.sigmas[..., 3:6], "degrees"),
        "sigma_strain": (tracks.sigmas[..., 6:], "1e-6"),
        "squares": (series.squares, ""),
        "margin": (series.margin, ""),
    }
    for name, (array, unit) in values.items():
        group.put(name, array, unit=unit)


def _motion(group: Group, tracks: Tracks) -> None:
    """Entry k is from step k + 1 to step k + 2."""
    motions = tracks.series.motions
    values: dict[str, tuple[ArrayLike, str]] = {
        "agreeing": ([m.agreeing for m in motions], "grains"),
        "origin": ([m.origin for m in motions], "um"),
        "displacement": ([m.displacement for m in motions], "um"),
        "displacement_gradient": ([m.gradient for m in motions], ""),
        "strain": ([1e6 * m.strain for m in motions], "1e-6"),
        "rotation": ([m.rotation_vector for m in motions], "degrees"),
        "rotation_gradient": ([m.bending for m in motions], "degrees/um"),
        "size": ([m.size for m in motions], "logarithm of the radius"),
        "scatter_position": ([m.sigma_position for m in motions], "um"),
        "scatter_rotation": ([m.sigma_rotation for m in motions], "degrees"),
        "scatter_size": ([m.sigma_size for m in motions], "logarithm of the radius"),
    }
    for name, (array, unit) in values.items():
        group.put(name, array, unit=unit)
    group.put("deformation", tracks.deformations, unit="", meaning="gradient from the first step to each step")


def _grain_ids(tracks: Tracks) -> dict[tuple[int, int], int]:
    """Step and row to the id there."""
    track, step = np.nonzero(tracks.grain_ids >= 0)
    rows = tracks.series.rows[track, step]
    return dict(
        zip(zip(step.tolist(), rows.tolist(), strict=True), tracks.grain_ids[track, step].tolist(), strict=True)
    )
