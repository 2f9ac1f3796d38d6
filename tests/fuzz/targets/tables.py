"""Tables and binaries: each by its own reader, by who reads the whole layer, and by the stages that compute with it.

The first line of an input says who reads it and which file of the layer it stands for; only the rest is mutated. The
other files of the layer are those of a small one, ``seeds/layer.zip``.
"""

from __future__ import annotations

import os
import random
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

import numpy as np

from midas.experiment import orientation
from midas.formats import fitted_geometry, grains, hkls, index, merged, peaks, radius, refined, resolved, simulated
from midas.formats import spots as spot_tables
from midas.formats.bins import read_bins
from midas.formats.fitted_geometry import GEOMETRY_SPOTS, FittedNumber, format_fit
from midas.formats.layer import Layer
from midas.formats.material import read_material
from midas.formats.measured import SPOTS_MEASURED
from midas.formats.panels import read_shifts
from midas.formats.paramstest import plain_values
from midas.formats.passes import SEED_PASSES, first_pass
from midas.formats.run_record import read_run_record
from midas.formats.stress import read_stress
from midas.formats.table import Layout, Table
from midas.formats.tracks import read_tracks
from midas.formats.uncertainty import read_sigma
from midas.parameters import Parameters
from midas.results import consolidated
from midas.results.exchange import read_grain_list
from midas.results.matching.sets import load_grains, read_offset_table, read_points, read_state_list
from midas.results.reading import read_results
from midas.results.reading.words import of_grain, of_results
from midas.results.stress import run as stress
from midas.results.stress.options import StressOptions
from midas.runtime.errors import MidasError
from midas.stages import binning, indexing, refinement
from midas.stages import grains as grain_stage

from ..harness import Target
from ..mutations import BYTES, TEXT, integer, mixed, odd_digits
from .parameters import behind_first_line

SEEDS = Path(__file__).parents[1] / "seeds" / "layer.zip"
Reader = Callable[[Path], object]


@cache
def seeds() -> Mapping[str, bytes]:
    with zipfile.ZipFile(SEEDS) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _whole(folder: Path) -> None:
    """Everything that Python sees of a layer."""
    results = read_results(folder)
    of_results(results)
    for name in ("grains", "spots", "peaks", "all_spots", "sigma", "covariance", "quality", "owners", "record"):
        getattr(results, name)
    results.parameters  # noqa: B018
    results.grain_list  # noqa: B018
    results.operators  # noqa: B018
    for grain in results:
        of_grain(grain)
        grain.spots  # noqa: B018


def _indexing(folder: Path) -> None:
    indexing.run(Layer(folder), Parameters.read(folder / "paramstest.txt", "paramstest"), threads=1)


def _refinement(folder: Path) -> None:
    refinement.run(Layer(folder), Parameters.read(folder / "paramstest.txt", "paramstest"), threads=1)


def _binning(folder: Path) -> None:
    parameters = Parameters.read(folder / "paramstest.txt", "paramstest").changed(WriteLegacyBins=0)
    binning.run(Layer(folder), parameters, threads=1)


def _grains(folder: Path) -> None:
    grain_stage.run(Layer(folder), Parameters.read(folder / "paramstest.txt", "paramstest"), threads=1)


def _refined(folder: Path) -> None:
    layer = Layer(folder)
    found = refined.read_refined(layer, len(spot_tables.read_seed_ids(layer.spots_to_index)))
    found.fit_rows(range(len(found.key)))


def _index(folder: Path) -> None:
    layer = Layer(folder)
    index.read(layer.index_best, layer.index_best_full, range(2))


def _consolidated(folder: Path) -> None:
    consolidated.write(Layer(folder), per_spot_groups=0)


def _stress(folder: Path) -> None:
    stress.run(read_results(folder), StressOptions(material="copper"))


#: who reads the layer, and which of its files are mutated
LAYERS: dict[str, tuple[Reader, str]] = {
    "whole": (
        _whole,
        "Grains.csv SpotMatrix.csv GrainIDsKey.csv GrainQuality.csv GrainsSigma.csv IDRings.csv MergeMap.csv "
        "InputAllExtraInfoFittingAll.csv Radius_StartNr_1_EndNr_180.csv Result_StartNr_1_EndNr_180.csv SpotOwners.csv "
        "paramstest.txt midas_log/run.json SpotsToIndex.csv Results/Key.bin Results/ProcessKey.bin",
    ),
    "index": (_indexing, "Spots.bin SpotsToIndex.csv hkls.csv paramstest.txt"),
    "refine": (
        _refinement,
        "Output/IndexBest.bin Output/IndexBestFull.bin ExtraInfo.bin SpotsToIndex.csv hkls.csv paramstest.txt",
    ),
    "bin": (_binning, "InputAll.csv InputAllExtraInfoFittingAll.csv paramstest.txt"),
    "grains": (
        _grains,
        "Results/Key.bin Results/ProcessKey.bin Results/OrientPosFit.bin Output/FitBest.bin SpotsToIndex.csv "
        "IDsHash.csv InputAllExtraInfoFittingAll.csv hkls.csv paramstest.txt Spots.bin",
    ),
    "consolidated": (_consolidated, "paramstest.txt MergeMap.csv GrainIDsKey.csv midas_log/run.json IDRings.csv"),
    "stress": (_stress, "Grains.csv GrainsSigma.csv paramstest.txt"),
    "refined": (_refined, "Results/Key.bin Results/ProcessKey.bin Results/OrientPosFit.bin Output/FitBest.bin"),
    "indexed": (_index, "Output/IndexBest.bin Output/IndexBestFull.bin"),
}


def _rows(layout: Layout, count: int = 3) -> bytes:
    """A table that no program has written here."""
    rows = np.arange(1.0, 1.0 + count)
    return layout.format(Table(layout.names, np.array([rows * (i + 1) for i in range(len(layout.names))])))


def _fit(path: Path) -> None:
    for number in fitted_geometry.read_fit(path):
        number.change_in_sigma  # noqa: B018


def _passes(path: Path) -> None:
    SEED_PASSES.read(path)
    folder = path.parent
    path.rename(Layer(folder).seed_passes)
    first_pass(Layer(folder), 3)


def _bins(path: Path) -> None:
    layer = Layer(path.parent)
    counts, rows = path.read_bytes()[:24], path.read_bytes()[24:]
    layer.bin_counts.write_bytes(counts)
    layer.bins.write_bytes(rows)
    read_bins(layer, 1, 1)


def _seed_ids(path: Path) -> None:
    spot_tables.read_seed_ids(path, blanks=True)
    spot_tables.read_seed_ids(path)


def _grain_list(path: Path) -> None:
    simulated.read_grain_list(path, orientation.matrices_from_euler)
    for options in ({"radii": True}, {"min_confidence": 0.5}, {"binary": True}):
        with suppress(MidasError):
            simulated.read_grain_list(path, orientation.matrices_from_euler, **options)


def _any_list(path: Path) -> None:
    read_grain_list(path)
    load_grains(path)


def _plain(path: Path) -> None:
    plain_values(path.read_bytes().decode("utf-8", "replace"))


_BINNED = np.array([[2, 0], [0, 2], [1, 2]], "<i4").tobytes() + np.array([0, 1, 2], "<i4").tobytes()
_MATERIAL = (
    b"name gold\nspace_group 225\naxes x a z c*\nC11 192.9\nC12 163.8\nC44 41.5\nslip 1 1 1 1 -1 0\nsource a table\n"
)
_EBSD = b"#EBSD\nhead\n0.1 0.2 0.3 1 2 3 0.9\n0.1 0.2 0.3 1 2 3 0.9\n"
_MIC = b"%TriEdgeSize 1\n%head\n%z 5\n%head\n1 2 3 4 5 0.1 0.1 0.2 0.3 0.1 0.9\n"
_NUMBERS = (FittedNumber("Lsd", 1e6, 1e6 + 5, 1.0, 0.5, "", 0.0, "fitted"),)

#: single files: who reads one, and which or what content it has
FILES: dict[str, tuple[Reader, str | bytes]] = {
    "Grains.csv": (grains.read_grains, "layer/Grains.csv"),
    "Grains.csv, every column": (lambda path: grains.read_grains(path, through="Eul2"), "layer/Grains.csv"),
    "crystal": (grains.read_crystal, "layer/Grains.csv"),
    "GrainIDsKey.csv": (grains.read_grain_ids_key, "layer/GrainIDsKey.csv"),
    "SpotMatrix.csv": (grains.SPOT_MATRIX.read, "layer/SpotMatrix.csv"),
    "hkls.csv": (hkls.LAYOUT.read, "layer/hkls.csv"),
    "Result": (merged.RESULT.read, "layer/Result_StartNr_1_EndNr_180.csv"),
    "MergeMap.csv": (merged.MERGE_MAP.read, "layer/MergeMap.csv"),
    "MergeFlags.csv": (merged.MERGE_FLAGS.read, _rows(merged.MERGE_FLAGS)),
    "Radius": (radius.LAYOUT.read, "layer/Radius_StartNr_1_EndNr_180.csv"),
    "PS.csv": (peaks.LAYOUT.read, "other/peaks_PS.csv"),
    "PX.bin": (peaks.read_pixels, "other/peaks_PX.bin"),
    "InputAll.csv": (lambda path: spot_tables.read_spots(path, spot_tables.INPUT_ALL), "layer/InputAll.csv"),
    "ExtraInfo": (
        lambda path: spot_tables.read_spots(path, spot_tables.EXTRA_INFO),
        "layer/InputAllExtraInfoFittingAll.csv",
    ),
    "IDRings.csv": (spot_tables.ID_RINGS.read, "layer/IDRings.csv"),
    "IDsHash.csv": (spot_tables.IDS_HASH.read, "layer/IDsHash.csv"),
    "SpotFlags.csv": (spot_tables.SPOT_FLAGS.read, _rows(spot_tables.SPOT_FLAGS)),
    "SpotsToIndex.csv": (_seed_ids, "layer/SpotsToIndex.csv"),
    "Spots.bin": (lambda path: spot_tables.read_binary_spots(path, spot_tables.SPOTS_BINARY), "layer/Spots.bin"),
    "ExtraInfo.bin": (
        lambda path: spot_tables.read_binary_spots(path, spot_tables.EXTRA_INFO_BINARY),
        "layer/ExtraInfo.bin",
    ),
    "Data.bin": (_bins, _BINNED),
    "SeedPasses.csv": (_passes, b"%Pass Seeds\n1 2\n2 1\n"),
    "SeedVerdicts.csv": (resolved.read_verdicts, "layer/SeedVerdicts.csv"),
    "SpotsMeasured.csv": (SPOTS_MEASURED.read, _rows(SPOTS_MEASURED)),
    "GrainsSigma.csv": (read_sigma, "layer/GrainsSigma.csv"),
    "Stress.csv": (read_stress, "layer/Stress.csv"),
    "GeometryFit.csv": (_fit, format_fit(_NUMBERS)),
    "GeometrySpots.csv": (GEOMETRY_SPOTS.read, _rows(GEOMETRY_SPOTS)),
    "run.json": (read_run_record, "layer/midas_log/run.json"),
    "paramstest.txt": (_plain, "layer/paramstest.txt"),
    "panel shifts": (read_shifts, b"# ID dY dZ dTheta\n0 0.1 0.2 0.3\n1 0.1 0.2 0.3 4 5\n"),
    "material": (read_material, _MATERIAL),
    "tracks": (read_tracks, "other/Tracks.csv"),
    "truth": (_grain_list, "other/GrainsGen.csv"),
    "EBSD": (_grain_list, _EBSD),
    "mic": (_grain_list, _MIC),
    "SpotMatrixGen.csv": (simulated.SPOT_MATRIX_GEN.read, "other/SpotMatrixGen.csv"),
    "intensities": (simulated.read_ring_intensities, b"1 1 1 100 2.35 1\n2 0 0 50 2.04 2\n"),
    "grains.out": (_any_list, "other/LayerNr_1.grains.out"),
    "map": (_any_list, "other/LayerNr_1.map"),
    "stitched": (_any_list, "other/stitch.csv"),
    "any list": (_any_list, "layer/Grains.csv"),
    "offsets": (read_offset_table, b"layer,grainID,dx,dy,dz\n1,2,3,4,5\n"),
    "points": (read_points, b"x y z\n1 2 3\n4 5 6\n"),
    "states": (read_state_list, b"file.csv\n.\n"),
}


def corpus() -> Mapping[str, bytes]:
    found = {}
    for name, (_, content) in FILES.items():
        found[name] = b"file\t%b\n%b" % (name.encode(), seeds()[content] if isinstance(content, str) else content)
    for kind, (_, names) in LAYERS.items():
        for name in names.split():
            found[f"{kind} {name}"] = b"%b\t%b\n%b" % (kind.encode(), name.encode(), seeds()[f"layer/{name}"])
    return found


def run(data: bytes, folder: Path) -> None:
    head, _, content = data.partition(b"\n")
    kind, name = head.decode().split("\t")
    if kind == "file":
        path = folder / "file.csv"
        path.write_bytes(content)
        FILES[name][0](path)
        return
    for other, known in seeds().items():
        place, _, rest = other.partition("/")
        if place == "layer":
            _put(folder / rest, content if rest == name else known)
    (folder / "Output").mkdir(exist_ok=True)
    LAYERS[kind][0](folder)


def _put(path: Path, content: bytes) -> None:
    """Write a file; zeros at the end of large ones are a hole."""
    path.parent.mkdir(exist_ok=True)
    with open(path, "wb") as stream:
        stream.write(content.rstrip(b"\0") if len(content) > 1 << 16 else content)
        stream.truncate(len(content))


_VALUES = (float("nan"), float("inf"), -1.0, 0.0, 1e308, 5e-324, 1e18, 2.0**31, 2.0**53, 5001.0, 1e9, 0.5)


def double(data: bytes, source: random.Random) -> bytes:
    """A number of eight bytes becomes one that programs stumble over."""
    if len(data) < 8:
        return data
    at = 8 * source.randrange(len(data) // 8 if source.random() < 0.3 else min(len(data) // 8, 64))
    return data[:at] + np.float64(source.choice(_VALUES)).tobytes() + data[at + 8 :]


_OF_TEXT, _OF_BYTES = mixed((*TEXT, (1, odd_digits))), mixed((*BYTES, (6, double), (3, integer)))


def mutate(data: bytes, name: str, source: random.Random) -> bytes:
    return (_OF_BYTES if name.endswith(".bin") else _OF_TEXT)(data, name, source)


def prepare() -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    seeds()


TARGETS = (Target("tables", run, corpus, behind_first_line(mutate), prepare),)
