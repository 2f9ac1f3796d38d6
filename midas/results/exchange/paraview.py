"""ParaView: the grains as points with every number that is known of them (docs/exports.md#paraview)."""

from __future__ import annotations

import numpy as np

from midas.experiment.orientation import euler_angles, quaternions_from_matrices
from midas.formats.stress import SAMPLE, SAMPLE_SIGMA, read_stress
from midas.results.colours.keys import ipf_colours
from midas.results.exchange.exported import Exported, Files
from midas.results.exchange.vtk import Array, points_file
from midas.results.stress.tensors import equivalent_strain

_AXES = ("X", "Y", "Z")
_TENSOR = ("XX", "YY", "ZZ", "XY", "YZ", "XZ")
_ROWS, _COLUMNS = (0, 1, 2, 0, 1, 0), (0, 1, 2, 1, 2, 2)


def files(exported: Exported) -> Files:
    """A ``.vtp``; symmetric tensors are in the order of VTK, xx yy zz xy yz xz."""
    return {".vtp": points_file(exported.grains.positions, point_data(exported), "\n".join(exported.header))}


def point_data(exported: Exported) -> dict[str, tuple[Array, tuple[str, ...]]]:
    """Name to values and names of their components; what is known of no grain is left out."""
    grains = exported.grains
    u = grains.orientations
    q = quaternions_from_matrices(u)
    data: dict[str, tuple[Array, tuple[str, ...]]] = {
        "grain_id": (grains.ids, ()),
        "radius": (grains.radii, ()),
        "completeness": (grains.completeness, ()),
        "orientation": (np.ascontiguousarray(u.reshape(-1, 9)), tuple(f"U{i}{j}" for i in "123" for j in "123")),
        "quaternion": (q, ("w", "x", "y", "z")),
        "rodrigues": (q[:, 1:] / np.maximum(q[:, :1], 1e-12), _AXES),
        "euler_angles": (np.degrees(euler_angles(u)), ("phi1", "Phi", "phi2")),
        "cell": (grains.cells, ("a", "b", "c", "alpha", "beta", "gamma")),
        "strain": (np.ascontiguousarray(grains.strains[:, _ROWS, _COLUMNS]), _TENSOR),
        "von_mises_strain": (equivalent_strain(grains.strains), ()),
        **_colours(exported),
        **_sigmas(exported),
        **_stresses(exported),
    }
    return {
        name: (values, components)
        for name, (values, components) in data.items()
        if not len(values) or not np.isnan(values.astype(np.float64)).all()
    }


def _colours(exported: Exported) -> dict[str, tuple[Array, tuple[str, ...]]]:
    """IPF colours for the three axes of the sample, where the crystal is known."""
    grains = exported.grains
    if grains.space_group is None or not len(grains):
        return {}
    found: dict[str, tuple[Array, tuple[str, ...]]] = {}
    for axis, direction in zip(_AXES, np.eye(3), strict=True):
        colours = ipf_colours(grains.orientations, grains.space_group, direction, grains.cell)
        found[f"ipf_{axis}"] = (colours, ("R", "G", "B"))
    return found


def _sigmas(exported: Exported) -> dict[str, tuple[Array, tuple[str, ...]]]:
    """Standard deviations, where the layer has them."""
    table = None if exported.results is None else exported.results.sigma
    if table is None or not np.array_equal(table.integers("GrainID"), exported.grains.ids):
        return {}
    groups = {
        "sigma_position": (("sX", "sY", "sZ"), _AXES),
        "sigma_rotation": (("sRx", "sRy", "sRz"), _AXES),
        "sigma_strain": (("sE11", "sE22", "sE33", "sE12", "sE23", "sE13"), _TENSOR),
    }
    return {name: (np.ascontiguousarray(table.numbers(names)), parts) for name, (names, parts) in groups.items()}


def _stresses(exported: Exported) -> dict[str, tuple[Array, tuple[str, ...]]]:
    """Stress (MPa, sample frame), where ``ff-stress`` has been run on these grains."""
    layer = None if exported.results is None else exported.results.layer
    if layer is None or not layer.stress.exists():
        return {}
    table = read_stress(layer.stress).table
    if not np.array_equal(table.integers("GrainID"), exported.grains.ids):
        return {}
    order = [0, 1, 2, 5, 3, 4]  # of 11 22 33 23 13 12 to xx yy zz xy yz xz
    return {
        "stress": (np.ascontiguousarray(table.numbers(SAMPLE)[:, order]), _TENSOR),
        "sigma_stress": (np.ascontiguousarray(table.numbers(SAMPLE_SIGMA)[:, order]), _TENSOR),
        "hydrostatic_stress": (table["Hydrostatic"], ()),
        "von_mises_stress": (table["VonMises"], ()),
    }
