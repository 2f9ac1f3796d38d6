"""A finished layer of any number of grains, made of nothing: all tables that a run leaves, joined as they should be.

Places of spots are those of the simulator's kernel with a little noise; sizes, errors and peaks are drawn. Some spots
belong to no grain, some merged spots lie on no ring, some grains miss spots: merged, radius and spot ids differ. The
layer is what a run of the pipeline writes, without binary results, HDF5 file and logs. Nickel, five rings, half a
turn, 58 spots a grain. 5000 grains take five seconds and 400 MB.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np

from midas._ext.simulate.spots import SpotSimulator
from midas.archive import DATA, ArchiveWriter
from midas.experiment import crystal
from midas.experiment.detector import DetectorGeometry
from midas.experiment.orientation import euler_angles, matrices_from_quaternions
from midas.formats import hkls, merged, peaks, radius, resolved, spots, uncertainty
from midas.formats.grains import (
    CELL,
    EULER_ANGLES,
    FABLE,
    GRAINS,
    KENESEI,
    ORIENTATION,
    POSITION,
    SPOT_MATRIX,
    GrainIdsKey,
    GrainsHeader,
)
from midas.formats.layer import Layer
from midas.formats.paramstest import format_paramstest
from midas.formats.table import Table
from midas.parameters import Parameters
from midas.runtime.files import make_folder, write_atomic
from midas.runtime.ragged import offsets_of
from midas.simulation.scan import spot_table

Array = np.ndarray
LSD, CENTRE, PX, PIXELS = 5e5, 512.0, 200.0, 1024
START, STEP, FRAMES = -90.0, 0.5, 360
NICKEL = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
ARCHIVE = "many.analysis.MIDAS.zip"
TEXT = """
LatticeConstant 3.524 3.524 3.524 90 90 90
SpaceGroup 225
Wavelength 0.172979
Lsd 500000
BC 512 512
NrPixels 1024
px 200
RhoD 102400
OmegaStart -90
OmegaStep 0.5
OmegaRange -90 90
BoxSize -1000000 1000000 -1000000 1000000
RingThresh 1 80
RingThresh 2 80
RingThresh 3 80
RingThresh 4 80
RingThresh 5 80
OverAllRingToIndex 2
Completeness 0.8
MinNrSpots 1
Width 1500
Rsample 1000
Hbeam 2000
BeamThickness 2000
StepSizePos 100
StepSizeOrient 0.2
MarginRadius 500
MarginRadial 500
MarginEta 500
MarginOme 0.5
MargABC 0.3
MargABG 0.3
OmeBinSize 0.1
EtaBinSize 0.1
MinEta 6
UseFriedelPairs 1
Vsample 10000000
"""
#: parts of the spots that a grain misses, that no grain has, and that lie on no ring
MISSED, STRANGE, OFF_RING = 0.02, 0.03, 0.01


@dataclass(frozen=True)
class ManyGrains:
    """The layer, and what is in no file of it.

    Parameters
    ----------
    layer : its folder and archive
    parameters : of the archive
    sigmas : of the grains, as their file tells them, with covariances
    """

    layer: Layer
    parameters: Parameters
    sigmas: uncertainty.GrainSigmas


def write(folder: Path, count: int, seed: int = 1) -> ManyGrains:
    """Write a layer of `count` grains into `folder`; the same numbers give the same bytes, but for the paths."""
    rng = np.random.default_rng(seed)
    layer = Layer(make_folder(folder), folder / ARCHIVE, f"{folder}/")
    parameters = Parameters.parse(TEXT + f"ResultFolder {folder}/\n", "Parameters.txt")
    (folder / "Parameters.txt").write_text(TEXT.lstrip())
    _write_archive(layer, parameters)
    reflections = crystal.reflections(parameters)
    hkls.LAYOUT.write(layer.hkls, reflections)

    grains = _grains(count, rng)
    found = _with_strangers(_spots(grains, reflections, rng), reflections, rng)
    found = _sorted(found, np.lexsort([found["y"], found["first_frame"]]))
    found["merged_id"] = np.arange(1.0, len(found["y"]) + 1)
    _write_peaks(layer, found, rng)
    on_ring = _sorted(found, found["ring"] > 0)
    on_ring["radius_id"] = np.arange(1.0, len(on_ring["y"]) + 1)
    radius.LAYOUT.write(layer.radius(FRAMES), _table(radius.LAYOUT.names, on_ring, spot_id="radius_id"))
    by_ring = _sorted(on_ring, np.argsort(on_ring["ring"], kind="stable"))
    by_ring["spot_id"] = np.arange(1.0, len(by_ring["y"]) + 1)
    _write_spot_tables(layer, by_ring, reflections, parameters)
    sigmas = _write_grains(layer, grains, by_ring, reflections, rng)
    return ManyGrains(layer, parameters, sigmas)


def _write_archive(layer: Layer, parameters: Parameters) -> None:
    """All frames are the same empty one."""
    shape = (FRAMES, PIXELS, PIXELS)
    with ArchiveWriter(layer.archive, shape, np.uint16, threads=1) as archive:
        archive.add_compressed(DATA, shape, repeat(archive.compress(np.zeros(shape[1:], np.uint16)), FRAMES))
        archive.add_parameters(parameters)


# Grains and their spots: columns by name


def _grains(count: int, rng: np.random.Generator) -> dict[str, Array]:
    """Grains that would fill a cylinder as high as wide, under a load along Z."""
    q = rng.standard_normal((count, 4))
    u = matrices_from_quaternions(q / np.linalg.norm(q, axis=1, keepdims=True))
    size = rng.lognormal(np.log(30.0), 0.25, count)
    reach = (2 / 3 * (size**3).sum()) ** (1 / 3)
    r, angle = reach * np.sqrt(rng.random(count)), 2 * np.pi * rng.random(count)
    position = np.column_stack([r * np.cos(angle), r * np.sin(angle), reach * rng.uniform(-1, 1, count)])
    strain = rng.normal(0, 100, (count, 3, 3))
    strain = (strain + strain.swapaxes(1, 2)) / 2 + np.diag([-150.0, -150.0, 500.0])
    axes = np.eye(3) + 1e-6 * u.swapaxes(1, 2) @ strain @ u
    cell = crystal.cell_of(NICKEL[0] ** 2 * axes.swapaxes(1, 2) @ axes) if count else np.empty((0, 6))
    return {"u": u, "size": size, "position": position, "strain": strain, "cell": cell}


def _spots(grains: dict[str, Array], reflections: Table, rng: np.random.Generator) -> dict[str, Array]:
    """The spots that were found, grain by grain; ``grains["predicted"]`` counts those that could be."""
    rows = np.column_stack([reflections[name] for name in "hkl"] + [np.arange(len(reflections))])
    detector = DetectorGeometry(LSD, CENTRE, CENTRE, PX, 102400.0)
    simulator = SpotSimulator(
        *(np.ascontiguousarray(rows[reflections["ring"] <= 5]), detector.packed(), (PIXELS, PIXELS)),
        *(np.empty((0, 8)), None),
        wavelength=0.172979,
        samples=np.array([0.172979]),
        omega=(START, START + FRAMES * STEP, STEP),
        frames=FRAMES,
        wedge=0.0,
        exact_wedge=True,
        beam_size=-1.0,
    )
    u = np.ascontiguousarray(grains["u"].reshape(-1, 9))
    table = spot_table(simulator.spots(u, grains["cell"], grains["position"], 1))
    table = table.take((np.abs(table["Eta"]) > 6) & (np.abs(table["Eta"]) < 174))
    owner = table.integers("GrainID") - 1
    grains["predicted"] = np.bincount(owner, minlength=len(u)).astype(float)
    found = rng.random(len(owner)) >= MISSED
    table, owner = table.take(found), owner[found]
    row, n = table.integers("RingNr"), len(owner)
    return {
        "grain": owner.astype(float),
        "row": row.astype(float),
        "ring": reflections["ring"][row],
        "y": -PX * (table["DetectorHor"] - CENTRE) + rng.normal(0, 5, n),
        "z": PX * (table["DetectorVert"] - CENTRE) + rng.normal(0, 5, n),
        "omega": np.clip(table["Omega"] + rng.normal(0, 0.02, n), START + 0.01, START + FRAMES * STEP - 0.51),
        "size": grains["size"][owner] * rng.normal(1, 0.03, n).clip(0.8, 1.2),
    }


def _with_strangers(found: dict[str, Array], reflections: Table, rng: np.random.Generator) -> dict[str, Array]:
    """The spots with others on the rings and between them; -1 for what they lack, and all that follows from a place."""
    known = len(found["y"])
    on, off = (int(np.ceil(part * known)) if known else 20 for part in (STRANGE, OFF_RING))
    n = on + off
    row = rng.integers(0, int((reflections["ring"] <= 5).sum()), n)
    ring = np.where(np.arange(n) < on, reflections["ring"][row], 0.0)
    away = np.where(ring > 0, reflections["ring_radius"][row] + rng.normal(0, 300, n), rng.uniform(55e3, 63e3, n))
    angle = np.radians(rng.choice([-1, 1], n) * rng.uniform(6, 174, n))
    others = {
        "grain": np.full(n, -1.0),
        "row": np.where(ring > 0, row, -1.0),
        "ring": ring,
        "y": -away * np.sin(angle),
        "z": away * np.cos(angle),
        "omega": rng.uniform(START + 0.01, START + FRAMES * STEP - 0.51, n),
        "size": rng.lognormal(np.log(15.0), 0.3, n),
    }
    s = {name: np.concatenate([found[name], others[name]]) for name in others}
    away = np.hypot(s["y"], s["z"])
    s["eta"], s["theta"] = np.degrees(np.arctan2(-s["y"], s["z"])), np.degrees(np.arctan(away / LSD)) / 2
    s["frames"] = np.minimum(1.0 + rng.integers(0, 3, len(away)), FRAMES - (s["omega"] - START) // STEP)
    s["first_frame"] = (s["omega"] - START) // STEP + 1
    s["min_omega"] = START + (s["first_frame"] - 1) * STEP
    s["max_omega"] = s["min_omega"] + (s["frames"] - 1) * STEP
    s["powder_intensity"] = np.array([0, 35e3, 100e3, 55e3, 100e3, 30e3])[s["ring"].astype(int)]
    s["grain_radius"], s["grain_volume"] = s["size"], 4 / 3 * np.pi * s["size"] ** 3
    s["intensity"] = s["raw_sum"] = s["grain_volume"] * np.maximum(s["powder_intensity"], 1e4) / 1e7
    s |= {"y_recorded": CENTRE - s["y"] / PX, "z_recorded": CENTRE + s["z"] / PX, "radius": away / PX}
    s |= {"omega_recorded": s["omega"], "i_max": s["intensity"] / 8, "sigma_r": np.ones(len(away))}
    s |= {"sigma_eta": np.degrees(1 / s["radius"]), "pixels": np.round(30.0 * s["frames"])}
    s |= {"region_pixels": s["pixels"], "delta_omega": s["frames"] * STEP}
    return s


def _sorted(columns: dict[str, Array], rows: Array) -> dict[str, Array]:
    return {name: column[rows] for name, column in columns.items()}


def _table(names: tuple[str, ...], columns: dict[str, Array], **renamed: str) -> Table:
    return Table.from_columns(names, {name: columns[renamed.get(name, name)] for name in names})


# Files


def _write_peaks(layer: Layer, s: dict[str, Array], rng: np.random.Generator) -> None:
    """Merged spots, the peaks of all frames, and the map between them."""
    merged.RESULT.write(layer.merged(FRAMES), _table(merged.RESULT.names, s, spot_id="merged_id"))
    counts = s["frames"].astype(np.int64)
    of = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(of)) - np.repeat(offsets_of(counts)[:-1], counts)
    frame = s["first_frame"].astype(np.int64)[of] + within
    weight = rng.uniform(0.5, 1.0, len(of))
    part = weight / np.bincount(of, weight, len(counts))[of]
    order = np.lexsort([rng.random(len(of)), frame])
    first_of_frame = offsets_of(np.bincount(frame, minlength=FRAMES + 1))
    peak_id = np.empty(len(of), np.int64)
    peak_id[order] = np.arange(len(of)) - first_of_frame[frame[order]] + 1
    merge_map = {"merged_id": s["merged_id"][of], "frame": frame, "peak_id": peak_id}
    merged.MERGE_MAP.write(layer.merge_map, _table(merged.MERGE_MAP.names, merge_map))

    p = {name: s[name][of] for name in ("radius", "eta", "sigma_r", "sigma_eta")} | {"peak_id": peak_id}
    p |= {name: part * s[name][of] for name in ("intensity", "i_max", "raw_sum")}
    p |= {name: s[name][of] + rng.normal(0, 0.05, len(of)) for name in ("y_recorded", "z_recorded")}
    p |= {"omega_recorded": START + (frame - 1) * STEP, "pixels": np.full(len(of), 30), "raw_i_max": p["i_max"]}
    p |= {"region_pixels": p["pixels"], "region_peaks": np.ones(len(of)), "return_code": np.full(len(of), 3)}
    p |= {"max_y": np.rint(p["y_recorded"]), "max_z": np.rint(p["z_recorded"])}
    p |= {"diff_y": p["max_y"] - p["y_recorded"], "diff_z": p["max_z"] - p["z_recorded"]}
    p |= {"residual": 0.03 * p["i_max"], "background": np.full(len(of), 20.0), "mixing": np.full(len(of), 0.1)}
    p |= {f"sigma_{kind}_{axis}": p[f"sigma_{axis}"] for kind in ("gauss", "lorentz") for axis in ("r", "eta")}
    table = _table(peaks.LAYOUT.names, p).take(order)
    make_folder(layer.temp)
    for k in range(1, FRAMES + 1):
        write_atomic(layer.peaks(k), peaks.LAYOUT.format(table.take(slice(first_of_frame[k], first_of_frame[k + 1]))))


def _write_spot_tables(layer: Layer, s: dict[str, Array], reflections: Table, parameters: Parameters) -> None:
    """All that setup writes; the seeds are the spots of ring 2."""
    s |= {"y_ideal": s["y"], "z_ideal": s["z"], "y_plane": s["y"], "z_plane": s["z"], "two_theta": 2 * s["theta"]}
    s |= {"omega_ideal": s["omega"], "omega_detector": s["omega"]}
    extra = _table(spots.EXTRA_INFO.names, s)
    spots.write_spot_tables(layer, extra, np.zeros(len(extra), bool), 1)
    spots.ID_RINGS.write(layer.id_rings, _table(spots.ID_RINGS.names, s))
    rings = np.arange(1, 6)
    last = np.searchsorted(s["ring"], rings, side="right")
    spacing = [reflections["d_spacing"][reflections["ring"] == ring][0] for ring in rings]
    first = np.searchsorted(s["ring"], rings)
    table = {"ring": rings, "first_id": first + 1, "end_id": last + 1, "d_spacing": spacing}
    spots.IDS_HASH.write(layer.ids_hash, _table(spots.IDS_HASH.names, table))
    seeds = s["spot_id"][s["ring"] == 2]
    spots.SPOTS_TO_INDEX.write(layer.spots_to_index, Table(("spot_id",), seeds[None]))
    radii = tuple(float(reflections["ring_radius"][reflections["ring"] == ring][-1]) for ring in rings)
    in_use = parameters.changed(RingNumbers=tuple(rings.tolist()), RingRadii=radii)
    write_atomic(layer.paramstest, format_paramstest(in_use, layer))


def _write_grains(
    layer: Layer, grains: dict[str, Array], s: dict[str, Array], reflections: Table, rng: np.random.Generator
) -> uncertainty.GrainSigmas:
    """The grains in the order of their ids, which are those of their first seeds; a grain without seed is none."""
    owner, seed = s["grain"].astype(int), s["ring"] == 2
    own_seed = np.flatnonzero(seed & (owner >= 0))
    which, first = np.unique(owner[own_seed], return_index=True)
    order = np.argsort(own_seed[first])
    kept = which[order]
    ids = s["spot_id"][own_seed[first[order]]]
    grains = _sorted(grains, kept)
    place = np.full(int(max(owner.max(initial=-1), 0)) + 2, -1)  # the last one is of spots without a grain
    place[kept] = np.arange(len(kept))
    row = place[owner]
    rows = np.lexsort([s["spot_id"], row])[(row < 0).sum() :]
    counts = np.bincount(row[rows], minlength=len(kept))
    _write_spot_matrix(layer, _sorted(s, rows), ids[row[rows]], rng)
    _write_grain_list(layer, grains, ids, counts, rng)
    _write_owners(layer, grains, s, ids, row, reflections, counts)
    sigmas = _sigmas(grains, ids, counts)
    write_atomic(layer.grains_sigma, sigmas.format())
    return sigmas.rounded()


def _write_spot_matrix(layer: Layer, s: dict[str, Array], ids: Array, rng: np.random.Generator) -> None:
    columns = {
        "GrainID": ids, "SpotID": s["spot_id"], "Omega": s["omega"], "DetectorHor": s["y_recorded"],
        "DetectorVert": s["z_recorded"], "OmeRaw": s["omega"], "Eta": s["eta"], "RingNr": s["ring"], "YLab": s["y"],
        "ZLab": s["z"], "Theta": s["theta"], "StrainError": rng.normal(0, 1e-4, len(ids)),
    }  # fmt: skip
    SPOT_MATRIX.write(layer.spot_matrix, _table(SPOT_MATRIX.names, columns))


def _write_grain_list(layer: Layer, g: dict[str, Array], ids: Array, counts: Array, rng: np.random.Generator) -> None:
    n = len(ids)
    columns = {"GrainID": ids, "GrainRadius": g["size"], "Confidence": counts / np.maximum(g["predicted"], 1)}
    columns |= {"PhaseNr": np.ones(n), "RMSErrorStrain": rng.uniform(50, 120, n)}
    columns |= {"DiffPos": rng.uniform(4, 9, n), "DiffOme": rng.uniform(0.01, 0.03, n)}
    columns |= {"DiffAngle": rng.uniform(0.008, 0.02, n)}
    by_fable = g["strain"] + rng.normal(0, 5, (n, 1, 1))
    angles = euler_angles(g["u"])
    for names, values in (
        *((ORIENTATION, g["u"]), (POSITION, g["position"]), (CELL, g["cell"]), (KENESEI, g["strain"])),
        *((FABLE, by_fable), (EULER_ANGLES, angles)),
    ):
        columns |= dict(zip(names, values.reshape(n, len(names)).T, strict=True))
    header = GrainsHeader(n, 0.0, 2000.0, 0.0, 1, 225, NICKEL)
    GRAINS.write(layer.grains, _table(GRAINS.names, columns), header=header.text())


def _write_owners(
    layer: Layer, g: dict[str, Array], s: dict[str, Array], ids: Array, row: Array, reflections: Table, counts: Array
) -> None:
    """Who owns which spot, how sure the grains are, which seeds found them."""
    owned = row >= 0
    n, none = len(s["y"]), np.full(len(s["y"]), np.nan)
    owner = np.where(owned, np.append(ids, 0.0)[row], 0.0)
    hkl = np.where(owned, np.stack([reflections[name] for name in "hkl"])[:, s["row"].astype(int)], 0.0)
    columns = dict(zip("hkl", hkl, strict=True)) | {"SpotID": s["spot_id"], "RingNr": s["ring"], "GrainID": owner}
    columns |= {"Branch": np.where(owned, np.sign(s["y"]), 0), "Distance": np.where(owned, 0.3, np.nan)}
    columns |= {"SecondGrainID": np.zeros(n), "SecondDistance": none, "Shared": np.zeros(n)}
    resolved.SPOT_OWNERS.write(layer.spot_owners, _table(resolved.SPOT_OWNERS.names, columns))

    seeds = np.flatnonzero(s["ring"] == 2)
    of_seed = row[seeds]
    mine = _grouped(of_seed, len(ids)) if len(ids) else []
    members = np.concatenate(mine).astype(np.int64) if mine else np.empty(0, np.int64)
    key = GrainIdsKey(offsets_of([len(one) for one in mine]), s["spot_id"][seeds[members]].astype(np.int64), members)
    write_atomic(layer.grain_ids_key, key.format())
    part, unknown, zero = counts / np.maximum(g["predicted"], 1), np.full(len(ids), np.nan), np.zeros(len(ids))
    names = resolved.GRAIN_QUALITY.names
    quality = dict.fromkeys(names, zero) | {"GrainID": ids, "FamilyID": ids, "nPredicted": g["predicted"]}
    quality |= {"nOwned": counts, "nUnique": counts, "SharpCompleteness": part, "UniqueCompleteness": part}
    quality |= {"Significance": 3.5 * counts, "nMembers": np.diff(key.starts)}
    quality |= dict.fromkeys(("Spread", "FWHM1", "FWHM2", "FWHM3"), unknown)
    quality |= {"SigmaPos": 15 / g["size"], "SigmaAngle": 0.1 / g["size"], "SigmaCell": 200 / g["size"]}
    resolved.GRAIN_QUALITY.write(layer.grain_quality, _table(names, quality))
    best = np.isin(s["spot_id"][seeds], ids)
    verdict = np.where(best, 0, np.where(of_seed >= 0, 1, 6))
    per = {"Row": np.arange(len(seeds)), "SpotID": s["spot_id"][seeds], "Verdict": verdict, "GrainID": owner[seeds]}
    per |= dict.fromkeys(("nPredicted", "nSharp", "nUnique", "Significance"), np.where(of_seed >= 0, 58.0, 0.0))
    write_atomic(layer.seed_verdicts, resolved.format_verdicts(_table(resolved.SEED_VERDICTS.names, per)))


def _grouped(of: Array, count: int) -> list[Array]:
    """The places of 0, 1 ... in an array."""
    order = np.argsort(of, kind="stable")[int((of < 0).sum()) :]
    return np.split(order, np.cumsum(np.bincount(of[order], minlength=count))[:-1])


def _sigmas(g: dict[str, Array], ids: Array, counts: Array) -> uncertainty.GrainSigmas:
    """Large grains are known better."""
    n = len(ids)
    one = np.array([0.3, 0.3, 0.25, 4e-4, 4e-4, 25e-4, *([7.0] * 6)]) * (30.0 / g["size"][:, None])
    covariance = one[:, :, None] * one[:, None, :] * np.eye(12)
    values = np.zeros((n, len(uncertainty.SIGMA_NAMES)))
    values[:, :6] = one[:, :6]
    values[:, 6:9], values[:, 9:12] = 7e-6 * NICKEL[0] * 30 / g["size"][:, None], 7e-4 * 30 / g["size"][:, None]
    values[:, 12:18] = one[:, 6:]
    values[:, 18:21], values[:, 21:24] = one[:, :3], one[:, 6:9]
    values[:, 24] = values[:, 25] = counts
    values[:, 26] = 1.0
    radial, tangential, omega = ((uncertainty.NoiseClass("all", x, int(counts.sum())),) for x in (5.0, 5.0, 0.02))
    table = uncertainty.sigma_table(ids, values)
    return uncertainty.GrainSigmas(table, covariance, (1.0, 1.0, 1.0), radial, tangential, omega, wedge_model="exact")
