"""Sigmas of grains against the truth, and the files that hold them (docs/theory/uncertainty.md)."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
from noisy_grains import NUMBERS, NoisyLayer

from midas.calibration import sigma_of_grains
from midas.calibration.grains import sigma
from midas.calibration.grains.covariance import halves_of
from midas.calibration.grains.fitted import fitted_spots
from midas.calibration.grains.layer import settings_of
from midas.formats import uncertainty
from midas.formats.grains import GRAINS, read_grains
from midas.formats.layer import Layer
from midas.formats.resolved import GRAIN_QUALITY, no_number
from midas.formats.table import Table
from midas.formats.uncertainty import GrainSigmas, read_sigma
from midas.runtime.errors import FormatError


def pulls(layer: NoisyLayer, sigmas: GrainSigmas) -> np.ndarray:
    """(n, 12) errors in sigmas."""
    return layer.errors() / np.sqrt(np.diagonal(sigmas.covariance, axis1=1, axis2=2))


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> NoisyLayer:
    return NoisyLayer(tmp_path_factory.mktemp("noisy"), grains=120, seed=2)


@pytest.fixture(scope="module")
def sigmas(layer: NoisyLayer) -> GrainSigmas:
    return layer.sigmas()


def test_sigmas_are_the_errors(layer: NoisyLayer, sigmas: GrainSigmas) -> None:
    z = pulls(layer, sigmas)
    spread = dict(zip(NUMBERS, z.std(axis=0).round(2), strict=True))
    assert all(0.84 <= one <= 1.18 for one in spread.values()), spread  # 120 grains tell it to 6 %
    assert 0.95 <= np.sqrt((z**2).mean()) <= 1.08
    assert (np.abs(z) > 3).mean() < 0.01
    assert all(0.9 < one < 1.1 for one in sigmas.honesty)
    assert (sigmas["Flag"] == uncertainty.GOOD).all()
    assert 0.9 < np.median(sigmas["Chi2"]) < 1.1


@pytest.mark.long
def test_sigmas_of_a_thousand_grains(tmp_path: Path) -> None:
    layer = NoisyLayer(tmp_path, grains=1000, seed=7)
    z = pulls(layer, layer.sigmas())
    spread = dict(zip(NUMBERS, z.std(axis=0).round(3), strict=True))
    print(spread, f"{100 * (np.abs(z) > 3).mean():.2f} % beyond 3")
    assert all(0.9 <= one <= 1.15 for one in spread.values()), spread
    assert (np.abs(z) > 3).mean() < 0.01


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"tilts": (0.2, 0.3, -0.25), "wedge": 0.5}, id="tilts-and-wedge"),
        pytest.param({"single": 1.0}, id="single-frames"),
        pytest.param({"rotation": (-90.0, 90.0), "single": 0.0}, id="half-a-turn"),
        pytest.param({"radial": 0.5, "tangential": 0.5, "omega": 0.002, "single": 0.0, "outliers": 0.0}, id="sharp"),
    ],
)
def test_sigmas_are_the_errors_of_other_layers(tmp_path: Path, options: dict[str, object]) -> None:
    layer = NoisyLayer(tmp_path, grains=60, seed=3, **options)  # type: ignore[arg-type]
    z = pulls(layer, layer.sigmas())
    groups = [float(np.sqrt((z[:, group] ** 2).mean())) for group in (slice(3), slice(3, 6), slice(6, 12))]
    assert all(0.82 <= one <= 1.2 for one in groups), groups


def test_noise_is_told_for_every_class(sigmas: GrainSigmas) -> None:
    assert [one.name for one in sigmas.radial] == ["ring1", "ring2", "ring3", "ring4", "ring5"]
    assert all(one.sigma == pytest.approx(10, rel=0.1) for one in sigmas.radial)
    assert all(one.sigma == pytest.approx(20, rel=0.1) for one in sigmas.tangential)
    single, several = sigmas.omega
    assert (single.name, several.name) == ("single", "several")
    assert single.sigma == pytest.approx(0.25 / np.sqrt(12), rel=0.15)
    assert several.sigma == pytest.approx(0.02, rel=0.15)


def test_cells_have_the_sigmas_of_their_errors(layer: NoisyLayer, sigmas: GrainSigmas) -> None:
    errors = []
    for row, true in enumerate(layer.truth):
        axes = true.lattice()
        length = np.linalg.norm(axes, axis=0)
        cosine = (axes.T @ axes / np.outer(length, length))[[1, 0, 0], [2, 2, 1]]
        found = [layer.found[name][row] for name in uncertainty.CELL]
        errors.append(np.array(found) - [*length, *np.degrees(np.arccos(cosine))])
    z = np.array(errors) / sigmas.table.numbers([f"s{name}" for name in uncertainty.CELL])
    assert 0.93 <= np.sqrt((z**2).mean()) <= 1.1


def test_file_reads_back(layer: NoisyLayer, sigmas: GrainSigmas) -> None:
    path = layer.layer.grains_sigma
    lines = path.read_text().splitlines()
    assert lines[0] == "%NumGrains 120"
    assert lines[1:4] == ["%TrustLattice -", "%Z0 -", "%WedgeModel exact"]
    assert lines[4].startswith("%Honesty position ")
    assert [line.split()[0] for line in lines[5:8]] == ["%Radial", "%Tangential", "%Omega"]
    assert lines[8] == (
        "%GrainID\tsX\tsY\tsZ\tsRx\tsRy\tsRz\tsa\tsb\tsc\tsalpha\tsbeta\tsgamma\tsE11\tsE12\tsE13\tsE22\tsE23\tsE33"
        "\taX\taY\taZ\taE11\taE22\taE33\tNrSpots\tNrUsed\tChi2\tFlag"
    )
    table = read_sigma(path)
    assert table.columns.tobytes() == sigmas.table.columns.tobytes()
    assert table["GrainID"].tolist() == read_grains(layer.layer.grains)["GrainID"].tolist()
    assert (table["sX"] == table["aX"]).all()  # no geometry was refined
    assert np.allclose(table["sE12"], np.sqrt(sigmas.covariance[:, 11, 11]), rtol=1e-5)
    assert np.allclose(table["sE23"], np.sqrt(sigmas.covariance[:, 9, 9]), rtol=1e-5)


def test_threads_and_the_door_give_the_same(layer: NoisyLayer, sigmas: GrainSigmas) -> None:
    one = sigma_of_grains(layer.layer)
    assert one.format() == sigma_of_grains(layer.layer, threads=4).format()
    # The folder has no archive, so nothing tells how many frames a spot has.
    assert [kind.name for kind in one.omega] == ["all"]
    assert np.median(one["sX"] / sigmas["sX"]) == pytest.approx(1, rel=0.1)


def test_a_refined_geometry_adds_its_own(layer: NoisyLayer, tmp_path: Path) -> None:
    folder = _copy(layer, tmp_path)
    names, covariance = ["BCy", "Lsd", "panel 3"], np.diag([0.02, 40.0, 1.0]) ** 2
    covariance[0, 1] = covariance[1, 0] = 0.4
    with h5py.File(folder.consolidated, "w") as file:
        group = file.create_group("geometry")
        group["names"], group["covariance"] = names, covariance
        group.attrs["trust"], group.attrs["z0"] = "mean", "keep"
    found = sigma_of_grains(folder)
    assert found.parameters == ("BCy", "Lsd")
    assert found.format().splitlines()[1:3] == [b"%TrustLattice mean", b"%Z0 keep"]
    assert found.response is not None
    more = np.einsum("nij,jk,nlk->nil", found.response, covariance[:2, :2], found.response)
    expected = np.sqrt(np.diagonal(found.covariance + more, axis1=1, axis2=2))
    for name, column in (("aX", 0), ("aZ", 2), ("aE11", 6), ("aE33", 8)):
        np.testing.assert_allclose(found[name], expected[:, column], rtol=1e-9)
    # A longer distance is taken for a larger cell: 40 of 1e6 µm are a strain of 40e-6.
    assert np.median(np.abs(found.response[:, 6:9, 1])) == pytest.approx(1.0, rel=0.2)


def test_a_spoilt_geometry_is_told(layer: NoisyLayer, tmp_path: Path) -> None:
    folder = _copy(layer, tmp_path)
    with h5py.File(folder.consolidated, "w") as file:
        file.create_group("geometry")["names"] = ["Lsd"]
    with pytest.raises(FormatError, match="geometry cannot be read"):
        sigma_of_grains(folder)
    with h5py.File(folder.consolidated, "a") as file:
        file["geometry/covariance"] = np.full((1, 1), np.nan)
    with pytest.raises(FormatError, match="no covariance of 1 numbers"):
        sigma_of_grains(folder)


def test_quality_gets_its_columns(layer: NoisyLayer, sigmas: GrainSigmas) -> None:
    grains, n = layer.tables().grains, len(layer.truth)
    columns = dict.fromkeys(GRAIN_QUALITY.names, no_number(n))
    columns |= {"GrainID": grains["GrainID"], "Flags": np.full(n, 3.0)}
    columns |= {name: np.zeros(n) for name in ("nPredicted", "nOwned")}
    quality = Table.from_columns(GRAIN_QUALITY.names, columns)
    found = sigma.with_sigmas(quality, grains, sigmas, 2000.0)
    np.testing.assert_allclose(found["SigmaPos"], np.sqrt(sum(sigmas[name] ** 2 for name in ("sX", "sY", "sZ"))))
    np.testing.assert_allclose(found["SigmaAngle"], np.sqrt(sum(sigmas[name] ** 2 for name in ("sRx", "sRy", "sRz"))))
    largest = np.max([sigmas[f"s{name}"] / grains[name] for name in "abc"], axis=0)
    np.testing.assert_allclose(found["SigmaCell"], 1e6 * largest)
    assert (found["Flags"] == 3).all()
    narrow = 3 * float(np.median(found["SigmaPos"]))
    flagged = sigma.with_sigmas(found, grains, sigmas, narrow)["Flags"]
    assert set(flagged[found["SigmaPos"] > narrow / 3]) == {7.0}
    assert set(flagged[found["SigmaPos"] <= narrow / 3]) == {3.0}


def test_odd_grains_are_flagged(layer: NoisyLayer, tmp_path: Path) -> None:
    tables, folder = layer.tables(), _copy(layer, tmp_path)
    ids = tables.grains.integers("GrainID")
    matrix = tables.spot_matrix
    owner = matrix.integers("GrainID")
    first = np.cumsum(owner[:, None] == ids[None, :3], axis=0)
    few = (owner == ids[0]) & (first[:, 0] > 10)
    hardly = (owner == ids[1]) & (first[:, 1] > 3)
    spots = tables.extra_info.take(slice(None))
    spots.columns = spots.columns.copy()
    rows = matrix.integers("SpotID")[owner == ids[2]] - 1
    spots["y_plane"][rows] += np.where(np.arange(len(rows)) % 2, 60.0, -60.0)
    again = tables.grains.take(np.append(np.arange(120), 3))
    again["GrainID"][-1], again["Confidence"][-1] = 999999, 0.5
    twin = matrix.take(owner == ids[3])
    twin["GrainID"][:] = 999999
    kept = matrix.take(~(few | hardly))
    joined = Table(matrix.names, np.concatenate([kept.columns, twin.columns], axis=1))
    changed = dataclasses.replace(tables, grains=again, spot_matrix=joined, extra_info=spots)
    found = sigma.run(folder, layer.parameters(), tables=changed).data.sigmas
    flag = found["Flag"].astype(int)
    assert flag[[0, 1, 2, 3, 120]].tolist() == [
        uncertainty.FEW_SPOTS, uncertainty.SINGULAR, uncertainty.POOR_FIT, uncertainty.GOOD, uncertainty.COPY,
    ]  # fmt: skip
    assert (flag[4:120] == uncertainty.GOOD).all()
    assert np.isnan([found["sX"][1], found["sgamma"][1], found["aE33"][1]]).all()
    assert found["NrSpots"][[0, 1]].tolist() == [10, 3]
    assert np.isfinite(found["sX"][[0, 2, 3, 120]]).all()


def test_no_grains_have_an_empty_table(layer: NoisyLayer, tmp_path: Path) -> None:
    tables, folder = layer.tables(), _copy(layer, tmp_path)
    none = dataclasses.replace(
        tables, grains=tables.grains.take(slice(0, 0)), spot_matrix=tables.spot_matrix.take(slice(0, 0))
    )
    assert len(sigma.run(folder, layer.parameters(), tables=none).data.sigmas) == 0
    assert folder.grains_sigma.read_text().splitlines()[0] == "%NumGrains 0"
    assert len(read_sigma(folder.grains_sigma)) == 0


def test_halves_that_differ_make_sigmas_larger(layer: NoisyLayer, sigmas: GrainSigmas, tmp_path: Path) -> None:
    """The spots of Friedel pairs err together: they are half as many as they seem."""
    tables, folder = layer.tables(), _copy(layer, tmp_path)
    settings = settings_of(folder, layer.parameters(), False)
    spots = fitted_spots(folder, tables, settings.detector, guided=False, combined=False)
    halves = halves_of(spots)
    assert set(halves.ravel().tolist()) == {0, 1}
    own = np.flatnonzero(spots.grain == 0)
    mates = [
        (i, j) for i in own for j in own
        if i < j and spots.branch[i] == spots.branch[j] and (spots.hkl[i] == -spots.hkl[j]).all()
    ]  # fmt: skip
    assert len(mates) > 30
    assert all((halves[:, i] == halves[:, j]).all() for i, j in mates)
    # Omega as it would be measured without noise but that of a pair.
    rng = np.random.default_rng(5)
    table = tables.extra_info.take(slice(None))
    table.columns = table.columns.copy()
    pair: dict[tuple[float, ...], float] = {}
    for row, (grain, branch, hkl) in enumerate(zip(spots.grain, spots.branch, spots.hkl, strict=True)):
        name = (grain, branch, *(hkl if tuple(hkl) > (0.0, 0.0, 0.0) else -hkl))
        table["omega_recorded"][spots.ids[row] - 1] += pair.setdefault(name, rng.normal(0, 0.1))
    found = sigma.run(folder, layer.parameters(), tables=dataclasses.replace(tables, extra_info=table)).data.sigmas
    assert found.honesty[1] > sigmas.honesty[1] + 0.05
    assert (found["sRz"] > sigmas["sRz"]).all()


def _copy(layer: NoisyLayer, folder: Path) -> Layer:
    """The layer's files in another folder."""
    for name in ("paramstest.txt", "Grains.csv", "SpotMatrix.csv", "InputAllExtraInfoFittingAll.csv"):
        (folder / name).write_bytes((layer.folder / name).read_bytes())
    return Layer(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("Grains.csv", None, "Grains.csv: cannot be read"),
        ("SpotMatrix.csv", None, "SpotMatrix.csv: cannot be read .*; run ff-grains first"),
        ("InputAllExtraInfoFittingAll.csv", b"%YLab\n", "SpotMatrix.csv, line 2: SpotID: 1: is no spot of"),
        ("paramstest.txt", b"Lsd 1e6\npx 200\nRsample 100\n", "paramstest.txt: Wavelength: "),
        ("SpotOwners.csv", b"%SpotID\n", "SpotOwners.csv: has 0 spots where InputAll"),
        (
            "SpotsMeasured.csv",
            b"%\n" + b"\t".join([b"77"] * 20) + b"\n",
            "SpotsMeasured.csv, line 2: GrainID: 77: is no",
        ),
    ],
)
def test_tables_that_do_not_fit_are_told(
    layer: NoisyLayer, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    from midas.runtime.errors import MidasError

    folder = _copy(layer, tmp_path)
    path = tmp_path / name
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(MidasError, match=message):
        sigma.run(folder, layer.parameters())
    assert not folder.grains_sigma.exists()


def test_a_file_of_other_grains_is_told(layer: NoisyLayer, tmp_path: Path) -> None:
    path = tmp_path / "GrainsSigma.csv"
    lines = layer.layer.grains_sigma.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(FormatError, match="announces 120 grains, but 119 follow"):
        read_sigma(path)
    path.write_text("\n".join(lines[1:]) + "\n")
    with pytest.raises(FormatError, match="start of GrainsSigma.csv"):
        read_sigma(path)


def test_grains_stay_as_they_are(layer: NoisyLayer, tmp_path: Path) -> None:
    folder = _copy(layer, tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    sigma.run(folder, layer.parameters())
    after = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after.pop("GrainsSigma.csv").startswith(b"%NumGrains 120\n")
    assert after == before
    assert len(GRAINS.names) == 47
