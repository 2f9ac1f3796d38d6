"""Everything that a refined geometry is written as; all of it, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import h5py
import numpy as np

from midas.calibration.grains.page import page
from midas.calibration.grains.result import GeometryResult
from midas.calibration.grains.summary import held_out_lines
from midas.diagnosis.certificate import Certificate
from midas.formats.fitted_geometry import GEOMETRY_SPOTS, FittedNumber, format_fit
from midas.formats.layer import Layer
from midas.formats.panels import read_shifts
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.pipeline.geometry.parameter_file import Values, source_of, with_values
from midas.results.hdf5.writing import reserve
from midas.runtime.copying import copy_content
from midas.runtime.errors import OutputError
from midas.runtime.files import located, readable, write_together
from midas.runtime.part_files import Part, part
from midas.runtime.provenance import now

#: what the modes of the data do to the grains
RESPONSES = ("mean X", "mean Y", "mean Z", "turn x", "turn y", "turn z", "mean strain", "E33 - (E11 + E22)/2")
_FIGURES = ("radial", "tangential", "distance")
#: more than the group in the consolidated file takes
_GROUP_BYTES = 1 << 22


def keys_of(result: GeometryResult, detector: int, parameters: Parameters) -> Values:
    """Keys of a parameter file with the refined geometry; no fit of the rings undoes it."""
    keys: dict[str, tuple[float | str, ...]] = dict(result.keys(detector))
    if parameters["WedgeModel"] != result.wedge_model:
        keys["WedgeModel"] = (result.wedge_model,)
    if parameters["DoFit"]:
        keys["DoFit"] = ("0",)
    return keys


def write(
    result: GeometryResult,
    layers: Sequence[Layer],
    parameters: Sequence[Parameters],
    files: Sequence[Path],
    certificates: Sequence[Certificate],
    source: Path | None = None,
    of_source: Sequence[Layer] | None = None,
) -> None:
    """Write the parameter files, the tables, the page and the group of the consolidated file of every layer.

    Parameters
    ----------
    files : the new parameter file of each layer
    certificates : one for each layer, or none
    source : the user's parameter file; by default the copies in the layers `of_source`
    """
    contents: dict[Path, bytes] = {}
    for d, (layer, own, file, origin) in enumerate(zip(layers, parameters, files, of_source or layers, strict=True)):
        text = source_of(origin, own, source)
        contents[layer.geometry_fit] = format_fit(numbers_of(result, d))
        contents[layer.geometry_spots] = GEOMETRY_SPOTS.format(_spots(result, d))
        tables = [certificates[d].text()] if certificates else []
        contents[layer.geometry_page] = readable(page(result, origin.folder.name, tables)).encode()
        keys = dict(keys_of(result, d, own))
        if panels := _panels(result, d, layer, own):
            shifts = file.with_name(f"{file.stem}_panels.txt")
            contents[shifts], keys["PanelShiftsFile"] = panels, (shifts.name,)
        elif source is None and file.parent.absolute() != layer.folder.absolute():
            keys |= _shifts_elsewhere(own, layer)
        contents[file] = with_values(text, keys, _first_line(result, origin))
    with ExitStack() as stack:
        consolidated = [(d, layer) for d, layer in enumerate(layers) if layer.consolidated.exists()]
        with_group = [stack.enter_context(_with_group(result, d, layer)) for d, layer in consolidated]
        write_together(contents, with_group)


def numbers_of(result: GeometryResult, detector: int) -> list[FittedNumber]:
    """The numbers of one detector, under their plain names."""
    end, out = f"[{detector + 1}]", []
    for n in result.numbers:
        if "[" in n.name and not n.name.endswith(end):
            continue
        name = n.name.removesuffix(end)
        partner = n.partner.removesuffix(end)
        out.append(FittedNumber(name, n.start, n.value, n.sigma, n.pixel, partner, n.r, n.verdict))
    return out


def _spots(result: GeometryResult, detector: int) -> Table:
    """The columns of ``GeometrySpots.csv``."""
    r = result.residuals
    on = r.spots.detector == detector
    spots = r.spots.take(on)
    held = r.held_after[:, on]
    columns = {
        **{name: getattr(spots, name) for name in ("h", "k", "l")},
        **dict(zip(("r_r", "r_t", "r_omega"), r.after[:, on], strict=True)),
        **dict(zip(("held_r", "held_t"), held[:2], strict=True)),
        "GrainID": result.grains.ids[spots.grain, detector],
        "SpotID": spots.spot_id,
        "Branch": spots.branch,
        "det": np.full(len(spots), detector + 1),
        "weight": r.weight[0, on],
        "held": np.isfinite(held[0]),
    }
    return Table.from_columns(GEOMETRY_SPOTS.names, columns)


def _first_line(result: GeometryResult, layer: Layer) -> str:
    spots = f"{len(result.grains.ids)} grains, {len(result.residuals.spots)} spots"
    date, _, _ = now().partition("T")
    return f"{date} from {layer.folder.absolute().name}: {spots}; {held_out_lines(result)[0]}"


def _panels(result: GeometryResult, detector: int, layer: Layer, parameters: Parameters) -> bytes:
    """The shifts of the panels of a detector with the further ones; nothing where they were not refined."""
    if not any(number.name.startswith("dY") and number.fitted for number in result.numbers):
        return b""
    first = sum(result.panels_per_detector[:detector])
    name = parameters.get("PanelShiftsFile", "")
    before = read_shifts(located(name, layer.folder)) if name else {}
    lines = []
    for number, further in enumerate(result.panels[first : first + result.panels_per_detector[detector]]):
        dy, dz, turn = before.get(number, (0.0, 0.0, 0.0))
        lines.append(f"{number} {dy + further[0]:.6f} {dz + further[1]:.6f} {turn:.6f}\n")
    return "".join(lines).encode()


def _shifts_elsewhere(parameters: Parameters, layer: Layer) -> dict[str, tuple[float | str, ...]]:
    """The file of panel shifts where it is: the copy of the parameter file names the one beside itself."""
    name = parameters.get("PanelShiftsFile", "")
    copy = layer.folder.absolute() / Path(name).name
    return {"PanelShiftsFile": (str(copy),)} if name and copy.exists() else {}


@contextmanager
def _with_group(result: GeometryResult, detector: int, layer: Layer) -> Iterator[Part]:
    """A copy of the consolidated file with the group ``geometry``, which has yet to get the name of the file."""
    path = layer.consolidated
    with part(path) as copy:
        try:
            with open(path, "rb") as source:
                copy_content(source, copy.stream)
            copy.complete()
            if not copy.path.stat().st_size:
                raise OSError("it is empty")
            reserve(copy.path, _GROUP_BYTES)
            with h5py.File(copy.path, "r+", locking=False) as file:
                file.pop("geometry", None)
                _fill(file.create_group("geometry"), result, detector)
        except (OSError, RuntimeError) as error:
            raise OutputError(
                f"cannot be written ({error}); remove it: ff-midas writes it anew with -reprocess 1", file=path
            ) from None
        yield copy


def _fill(group: h5py.Group, result: GeometryResult, detector: int) -> None:
    """The numbers that were refined, their covariance, and what the spots alone tell."""
    end = f"[{detector + 1}]"
    rows = [k for k, name in enumerate(result.free) if "[" not in name or name.endswith(end)]
    names = [result.free[k].removesuffix(end) for k in rows]
    numbers = [result.number(result.free[k]) for k in rows]
    text = h5py.string_dtype()
    group["names"] = np.array(names, dtype=text)
    group["verdict"] = np.array([number.verdict for number in numbers], dtype=text)
    for name in ("start", "value", "sigma", "pixel"):
        group[name] = np.array([getattr(number, name) for number in numbers], np.float64)
    group["covariance"] = result.covariance[np.ix_(rows, rows)]
    held = result.held_out
    group["held"] = np.array([held.radial[detector], held.tangential[detector], held.distance[detector]])
    group["held"].attrs["row_names"] = np.array(_FIGURES, dtype=text)
    group["held"].attrs["column_names"] = np.array(["before", "after"], dtype=text)
    group["modes"], group["mode_sigma"] = result.modes.vectors, result.modes.sigma
    group["modes"].attrs["column_names"] = np.array(result.modes.names, dtype=text)
    group["mode_response"] = result.modes.response
    group["mode_response"].attrs["column_names"] = np.array(RESPONSES, dtype=text)
    group["log"] = result.log
    group["sentences"] = np.array(result.sentences, dtype=text)
    group.attrs.update(
        trust=str(result.trust), z0=f"{result.height:g}", wedge_model=result.wedge_model,
        iterations=result.iterations, converged=int(result.converged),
    )  # fmt: skip
