"""One group per grain, and in it one per spot (docs/formats.md)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from midas.formats.grain_spots import spot_ranges
from midas.formats.grains import GRAINS
from midas.formats.table import Table
from midas.formats.uncertainty import NUMBERS, SIGMA_NAMES, UNITS
from midas.results.consolidated.spot_objects import GrainSpots, PeakTypes, peak_record
from midas.results.hdf5.objects import Appender
from midas.results.hdf5.writing import Group
from midas.results.tables.joins import SpotLinks
from midas.results.tables.sources import Sources
from midas.runtime.errors import FormatError

log = logging.getLogger(__name__)

#: columns of ``SpotMatrix.csv`` after the grain id, and their names in the groups
_SPOT_COLUMNS = (
    "SpotID Omega DetectorHor DetectorVert OmeRaw Eta RingNr YLab ZLab Theta StrainError".split(),
    "spotid omega dety detz omeraw eta ringnr ylab zlab theta strainerror".split(),
)
#: columns of the radius table, and their names in the groups
_RADIUS_COLUMNS = (
    "min_omega max_omega theta delta_omega frames grain_volume grain_radius powder_intensity".split(),
    "minome maxome theta deltaomega nimgs grainvolume grainradius powderintensity".split(),
)
#: columns of the peak tables
PEAK_COLUMNS = (
    "SpotID IntegratedIntensity Omega YCen ZCen IMax Radius Eta SigmaR SigmaEta NrPixels TotalNrPixelsInPeakRegion "
    "nPeaks maxY maxZ diffY diffZ rawIMax returnCode retVal BG SigmaGR SigmaLR SigmaGEta SigmaLEta MU RawSumIntensity"
).split()
_PEAK_NAMES = [name.lower() for name in PEAK_COLUMNS]


def write_grains(root: Group, sources: Sources, links: SpotLinks, per_spot_groups: int) -> None:
    """``/grains`` with its summary and groups; `per_spot_groups` as for `consolidated.write`."""
    grains, spots = sources.grains, sources.spot_matrix
    with_spots = per_spot_groups != 0
    group = root.group("grains")
    group.put_columns("summary", grains.columns.T, GRAINS.names)
    if not with_spots:
        group.attach(per_spot_groups=0)
        log.info("no groups for each of the %d grain spots: -perSpotGroups 0", len(spots))
    sigma = _write_sigmas(group, sources)
    offsets = spot_ranges(sources.layer, grains, spots, sources.spots_to_index)
    names = _unique(f"grain_{i:04d}" for i in grains.integers("GrainID").tolist())
    for row, name in enumerate(names):
        own = group.group(name)
        _write_grain(own, grains.columns[:, row])
        if sigma is not None:
            own.put("sigma", sigma[row])
    _write_spots_later(root, names, _spots_of(root, sources, links, np.asarray(offsets), with_spots))


def _write_spots_later(root: Group, grains: Sequence[str], spots: GrainSpots) -> None:
    def write(out: Appender) -> Iterable[tuple[str, str, int]]:
        links = [(f"grains/{name}", "spots", at) for name, at in zip(grains, spots.write(out), strict=True)]
        for address, count in spots.types.used.items():
            root.used(address, count)
        return links

    root.later(write, len(grains))


def _write_sigmas(group: Group, sources: Sources) -> NDArray[np.float64] | None:
    """How well the grains are known, for all together; (n, 28), or None where that is not known."""
    table, sigmas = sources.sigma_table, sources.sigmas
    if table is None:
        return None
    if table.integers("GrainID").tolist() != sources.grains.integers("GrainID").tolist():
        raise FormatError("lists other grains than Grains.csv; run ff-grains again", file=sources.layer.grains_sigma)
    rows = table.numbers(SIGMA_NAMES)
    group.put("sigma", rows)
    group.dataset("sigma").attach_names("column_names", SIGMA_NAMES)
    if sigmas is not None:
        group.put("covariance", sigmas.covariance, frame="sample")
        group.dataset("covariance").attach_names("column_names", NUMBERS)
        group.dataset("covariance").attach_names("units", UNITS)
        if sigmas.response is not None:
            group.put("geometry_response", sigmas.response)
            group.dataset("geometry_response").attach_names("column_names", sigmas.parameters)
    return rows


def _unique(names: Iterable[str]) -> list[str]:
    """The names, the second of equal ones with the suffix _2 and so on."""
    seen: Counter[str] = Counter()
    out = []
    for name in names:
        seen[name] += 1
        out.append(name if seen[name] == 1 else f"{name}_{seen[name]}")
    return out


def _write_grain(group: Group, values: NDArray[np.float64]) -> None:
    g = dict(zip(GRAINS.names, values.tolist(), strict=True))

    def matrix(prefix: str) -> NDArray[np.float64]:
        return np.array([[g[f"{prefix}{i}{j}"] for j in (1, 2, 3)] for i in (1, 2, 3)])

    group.put("grain_id", int(g["GrainID"]))
    group.put("orientation", matrix("O"))
    group.put("position", np.array([g["X"], g["Y"], g["Z"]]), units="um")
    group.put("euler_angles", np.degrees([g["Eul0"], g["Eul1"], g["Eul2"]]), units="degrees")
    group.put("lattice_params_fit", np.array([g[x] for x in ("a", "b", "c", "alpha", "beta", "gamma")]))
    group.put("strain_fable", matrix("eFab"), units="1e-6")
    group.put("strain_kenesei", matrix("eKen"), units="1e-6")
    group.put("rms_strain_error", g["RMSErrorStrain"], units="1e-6")
    group.put("confidence", g["Confidence"])
    group.put("phase_nr", int(g["PhaseNr"]))
    group.put("radius", g["GrainRadius"], units="um")
    for name in ("DiffPos", "DiffOme", "DiffAngle"):
        group.put(f"diff_{name[4:].lower()}", g[name])


def _joined(sources: Sources, links: SpotLinks, spots: Table) -> NDArray[np.float64]:
    """Columns of the radius table for each row of the spot matrix; (8, n), NaN where it has none."""
    out = np.full((len(_RADIUS_COLUMNS[0]), len(spots)), np.nan)
    if sources.radius is None:
        return out
    ids = spots.integers("SpotID")
    inside = (ids > 0) & (ids < len(links.radius_row))
    rows = np.where(inside, links.radius_row[np.where(inside, ids, 0)], -1)
    known = rows >= 0
    for k, name in enumerate(_RADIUS_COLUMNS[0]):
        out[k, known] = sources.radius[name][rows[known]]
    return out


def _tell_missing(sources: Sources, without: int, total: int) -> None:
    """A warning where spots have no peaks, and what would tell these; none of a layer that began with its spots."""
    chain = {
        "IDRings.csv": sources.id_rings,
        "Radius_*.csv": sources.radius,
        "Result_*.csv": sources.merged,
        "hkls.csv": sources.hkls,
        "MergeMap.csv": sources.merge_map,
    }
    missing = [name for name, table in chain.items() if table is None]
    if without and any(chain[name] is not None for name in ("Radius_*.csv", "Result_*.csv", "MergeMap.csv")):
        reason = f"without {', '.join(missing)}" if missing else "MergeMap.csv does not list their merged spots"
        log.warning("%d of the %d spots of grains have no constituent peaks: %s", without, total, reason)


def _spots_of(
    group: Group, sources: Sources, links: SpotLinks, offsets: NDArray[np.int64], with_groups: bool
) -> GrainSpots:
    """The spots of the grains, and the types of their peaks in the file."""
    spots = sources.spot_matrix
    columns = {name: spots[column] for column, name in zip(*_SPOT_COLUMNS, strict=True)}
    sizes = dict(zip(_RADIUS_COLUMNS[1], _joined(sources, links, spots), strict=True))
    ids = spots.integers("SpotID")
    scalars: dict[str, NDArray[np.float64]] = {}
    first = last = None
    names: list[str] = []
    counts: list[int] = []
    if with_groups:
        own = {name: column for name, column in sizes.items() if name != "theta"}
        scalars = own | {name: column for name, column in columns.items() if name != "spotid"}
        for start, end in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
            names += _unique(f"spot_{i:06d}" for i in ids[start:end].tolist())
        if sources.merge_map is not None:
            known = np.where((ids > 0) & (ids < len(links.first)), ids, 0)
            first, last = (np.where(known > 0, rows[known], 0) for rows in (links.first, links.last))
            counts = np.unique(last - first).tolist()
        _tell_missing(sources, len(ids) if first is None or last is None else int((last == first).sum()), len(ids))
    committed = [n for n in counts if n]
    room = group.group("types") if committed else group
    types = {n: room.commit(f"constituent_peaks_{n}", peak_record(_PEAK_NAMES, n)) for n in committed}
    all_columns = columns | {f"radius_{name}": column for name, column in sizes.items()}
    return GrainSpots(
        offsets, all_columns, ids, scalars, names, first, last, links.constituents, links.peaks,
        PeakTypes(_PEAK_NAMES, types),
    )  # fmt: skip
