"""Grains by the ownership of spots (docs/theory/resolving.md), on small samples whose truth is known."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from midas.formats.grains import read_grain_ids_key
from midas.formats.resolved import GRAIN_QUALITY, SPOT_OWNERS, VERDICTS, read_verdicts
from midas.formats.spots import SPOT_FLAGS
from midas.formats.table import Table
from midas.runtime.errors import FormatError, MidasError, ParameterError

from .owned_layer import NICKEL, OwnedLayer, Row, Sample, scattered

#: the four twins of a cubic crystal: half turns about <111>
TWINS = [Rotation.from_rotvec(np.pi * np.array(axis) / 3**0.5).as_matrix()
         for axis in ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1))]  # fmt: skip


def words(result: object) -> list[str]:
    return [VERDICTS[int(v)] for v in result.data.seed_verdicts["Verdict"]]  # type: ignore[attr-defined]


def small(count: int = 3, **values: object) -> Sample:
    return Sample(*scattered(count), **values)  # type: ignore[arg-type]


def test_repeated_solutions_are_one_grain_and_the_truth(tmp_path: Path) -> None:
    """Duplicates lie farther apart than the legacy rule allows; the fit to the owned spots leads them to the truth."""
    sample = small()
    rows = [sample.solution(g, s, shift=15.0, turn=0.03) for g in range(3) for s in sample.spots_of(g)[:4]]
    result = OwnedLayer(tmp_path, sample, rows).run()
    table, quality = result.data.grains, result.data.grain_quality
    assert len(table) == 3
    assert result.summary == {
        "seeds": 12, "solutions": 12, "crystals": 3, "duplicates": 9, "fragments": 0, "ghosts": 0, "unsupported": 0,
        "grains": 3,
    }  # fmt: skip
    found = np.stack([table[axis] for axis in "XYZ"], axis=1)
    distance = np.linalg.norm(found[:, None] - sample.position, axis=2)
    assert sorted(distance.argmin(axis=1)) == [0, 1, 2] and distance.min(axis=1).max() < 5
    assert quality["SharpCompleteness"].min() == 1 and quality["nMembers"].tolist() == [4, 4, 4]
    assert quality["Significance"].min() > 50 and not quality["Flags"].any()


def test_every_spot_has_the_owner_that_made_it(tmp_path: Path) -> None:
    sample = small(spurious=20)
    rows = [sample.solution(g) for g in range(3)]
    result = OwnedLayer(tmp_path, sample, rows).run()
    owners = result.data.spot_owners
    ids = np.array([row.seed for row in rows] + [0])
    wrong = owners["GrainID"] != ids[sample.of_spot]
    assert np.isnan(owners["Distance"]).sum() == (owners["GrainID"] == 0).sum()
    # A spot at random may lie in a window, or nearer than the true one.
    assert wrong.sum() <= 2 and wrong[sample.of_spot >= 0].sum() <= 1
    read = SPOT_OWNERS.read(tmp_path / "SpotOwners.csv")
    np.testing.assert_array_equal(read.columns, owners.columns)
    quality = GRAIN_QUALITY.read(tmp_path / "GrainQuality.csv")
    np.testing.assert_array_equal(quality.columns, result.data.grain_quality.columns)
    np.testing.assert_array_equal(
        read_verdicts(tmp_path / "SeedVerdicts.csv").columns, result.data.seed_verdicts.columns
    )
    counts = [(owners["GrainID"] == grain).sum() for grain in quality["GrainID"]]
    assert quality["nOwned"].tolist() == counts


def test_the_reflection_of_a_spot_is_named(tmp_path: Path) -> None:
    sample = small(1)
    result = OwnedLayer(tmp_path, sample, [sample.solution(0)]).run()
    owners, grains = result.data.spot_owners, result.data.grains
    u = np.array([grains[f"O{i}{j}"][0] for i in (1, 2, 3) for j in (1, 2, 3)]).reshape(3, 3)
    omega = np.radians(owners_omega := sample.spots["omega_recorded"])
    hkl = np.array([owners[name] for name in "hkl"])
    g = u @ hkl / 3.6
    lab_y = g[0] * np.sin(omega) + g[1] * np.cos(omega)
    assert len(owners_omega) == len(owners)
    np.testing.assert_array_equal(np.sign(lab_y), owners["Branch"])
    np.testing.assert_array_equal(np.sign(sample.spots["y_plane"]), owners["Branch"])


def test_a_ghost_of_foreign_spots_is_none(tmp_path: Path) -> None:
    """A solution that the wide windows of the search would call complete, but whose spots are others'."""
    sample = small(4, spurious=100)
    foreign = [spot for g in range(4) for spot in sample.spots_of(g)[::4]]
    u = Rotation.random(random_state=77).as_matrix()
    ghost = Row(foreign[0], u, np.zeros(3), foreign, completeness=1.0)
    lost = np.flatnonzero(sample.of_spot < 0)[:30] + 1
    made_up = Row(int(lost[0]), Rotation.random(random_state=78).as_matrix(), np.zeros(3), lost.tolist())
    rows = [ghost, *(sample.solution(g) for g in range(4)), made_up, None, None]
    layer = OwnedLayer(tmp_path, sample, rows)
    result = layer.run(UniqueCompleteness=0, MinUniqueSpots=0)
    verdicts = result.data.seed_verdicts
    assert words(result) == [
        "unsupported",
        *["crystal"] * 4,
        "unsupported",
        *[VERDICTS[5 if sample.of_spot[0] >= 0 else 6]] * 2,
    ]
    assert verdicts["Significance"][[0, 5]].max() < 3
    result = layer.run()
    assert len(result.data.grains) == 4
    key = read_grain_ids_key(tmp_path / "GrainIDsKey.csv")
    assert key.rows.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("parent", [True, False])
def test_four_twins_do_not_invent_their_parent(parent: bool, tmp_path: Path) -> None:
    u = Rotation.random(random_state=8).as_matrix()
    turns = [u, *(u @ twin for twin in TWINS)]
    rng = np.random.default_rng(3)
    sample = Sample(np.array(turns), rng.uniform(-40, 40, (5, 3)), visible=[parent, True, True, True, True])
    twins = [sample.solution(g) for g in range(1, 5)]
    others = [spot for g in range(1, 5) for spot in sample.spots_of(g)][::3]
    alone = sample.solution(0) if parent else sample.solution(0, others[0], spots=others)
    result = OwnedLayer(tmp_path, sample, [alone, *twins]).run()
    assert words(result)[1:] == ["crystal"] * 4
    assert (words(result)[0] == "crystal") == parent
    assert len(result.data.grains) == 4 + parent


def test_variants_that_explain_the_same_spots_are_one_grain(tmp_path: Path) -> None:
    """A cubic cell that the parameters call tetragonal: three orientations, one set of spots; a flag says so."""
    u, position = scattered(1)
    sample = Sample(u, position, space_group=123, rings=(2, 3, 4), cell=NICKEL)
    turn = Rotation.from_rotvec([np.pi / 2, 0, 0]).as_matrix()
    first = sample.solution(0)
    other = sample.solution(0, sample.spots_of(0)[5], u=first.u @ turn)
    result = OwnedLayer(tmp_path, sample, [first, other]).run()
    assert len(result.data.grains) == 1
    assert result.data.grain_quality["Flags"].tolist() == [2]


def test_close_neighbours_stay_apart_and_are_a_family(tmp_path: Path) -> None:
    u, position = scattered(1)
    close = Rotation.from_rotvec(np.radians([0.3, 0, 0])).as_matrix() @ u[0]
    sample = Sample(np.array([u[0], close]), np.array([position[0], position[0] + 100]))
    rows = [sample.solution(g, s) for g in (0, 1) for s in sample.spots_of(g)[:2]]
    result = OwnedLayer(tmp_path, sample, rows).run()
    assert len(result.data.grains) == 2
    quality = result.data.grain_quality
    assert len(set(quality["FamilyID"])) == 1
    assert len(set(OwnedLayer(tmp_path, sample, rows).run(FamilyAngle=0.2).data.grain_quality["FamilyID"])) == 2


def test_a_shared_spot_stands_under_both_grains(tmp_path: Path) -> None:
    """Twins share a third of their reflections."""
    u = Rotation.random(random_state=8).as_matrix()
    sample = Sample(np.array([u, u @ TWINS[0]]), np.array([[0, 0, 0], [10.0, 5, -5]]))
    result = OwnedLayer(tmp_path, sample, [sample.solution(0), sample.solution(1)]).run()
    quality, matrix, owners = result.data.grain_quality, result.data.spot_matrix, result.data.spot_owners
    assert quality["nShared"].min() > 5
    assert len(matrix) == quality["nOwned"].sum() + quality["nShared"].sum()
    twice = owners["SpotID"][owners["Shared"] == 1]
    assert (np.sort(matrix["SpotID"][np.isin(matrix["SpotID"], twice)]) == np.repeat(twice, 2)).all()
    assert (owners["Shared"] == 1).sum() == quality["nShared"].sum()
    for grain, owned in zip(quality["GrainID"], quality["nOwned"].astype(int), strict=True):
        own = matrix["SpotID"][matrix["GrainID"] == grain]
        assert (np.diff(own[:owned]) > 0).all() and (np.diff(own[owned:]) > 0).all()
        assert set(own[:owned]) == set(owners["SpotID"][owners["GrainID"] == grain])
    assert np.abs(matrix["StrainError"]).max() < 2e-3


def test_a_spot_of_three_grains_stands_under_all_of_them(tmp_path: Path) -> None:
    """Two twins of a crystal, and all three have some reflections in common."""
    u = Rotation.random(random_state=8).as_matrix()
    sample = Sample(np.array([u, u @ TWINS[0], u @ TWINS[1]]), np.zeros((3, 3)))
    result = OwnedLayer(tmp_path, sample, [sample.solution(grain) for grain in range(3)]).run()
    quality, matrix = result.data.grain_quality, result.data.spot_matrix
    assert len(quality) == 3
    assert np.unique(matrix["SpotID"], return_counts=True)[1].max() == 3
    listed = [np.count_nonzero(matrix["GrainID"] == grain) for grain in quality["GrainID"]]
    assert (quality["nOwned"] + quality["nShared"]).tolist() == listed


def test_a_spot_that_only_a_wide_window_reaches_counts_nowhere(tmp_path: Path) -> None:
    """The fit has no prediction within a degree of it: it does not stand in SpotMatrix.csv."""
    sample = small(1)
    spot = len(sample.spots) // 2
    for name in ("omega_recorded", "omega_ideal", "omega_detector"):
        sample.spots[name][spot] += 7
    layer = OwnedLayer(tmp_path, sample, [sample.solution(0)])
    result = layer.run(OwnSigma="50 0.5", OwnWindow=20, MinSignificance=-1000)
    quality, matrix = result.data.grain_quality, result.data.spot_matrix
    assert len(matrix) == len(sample.spots) - 1 and spot + 1 not in matrix["SpotID"]
    assert (quality["nOwned"] + quality["nShared"]).tolist() == [len(matrix)]


def test_a_stray_spot_is_owned_but_has_no_say_in_the_strain(tmp_path: Path) -> None:
    """Two grains' spots in one peak, for instance: 2.6 sigma from the prediction."""
    sample = small(1)
    layer = OwnedLayer(tmp_path, sample, [sample.solution(0)])
    before = layer.run().data.grains
    radius = np.hypot(sample.spots["y_plane"][7], sample.spots["z_plane"][7])
    for name in ("y_plane", "z_plane"):
        sample.spots[name][7] *= 1 + 130 / radius
    result = layer.run()
    assert result.data.spot_owners["GrainID"][7] == before["GrainID"][0]
    for i in (1, 2, 3):
        assert abs(result.data.grains[f"eKen{i}{i}"][0] - before[f"eKen{i}{i}"][0]) < 5
    error = result.data.spot_matrix["StrainError"]
    assert np.abs(error).argmax() == 7 and np.abs(error[7]) > 1e-3 > 10 * before["RMSErrorStrain"][0] / 1e6


def test_one_candidate_and_candidates_that_are_all_the_same(tmp_path: Path) -> None:
    sample = small(1)
    assert len(OwnedLayer(tmp_path, sample, [sample.solution(0)]).run().data.grains) == 1
    same = [Row(**{**sample.solution(0).__dict__, "seed": seed}) for seed in (9, 4, 7)]
    result = OwnedLayer(tmp_path, sample, same).run()
    assert result.data.grains["GrainID"].tolist() == [4]
    assert words(result) == ["duplicate", "crystal", "duplicate"]
    assert (tmp_path / "GrainIDsKey.csv").read_text() == "4 1 9 0 7 2 \n"
    result = OwnedLayer(tmp_path, sample, [same[0], same[0]]).run()  # a seed that is listed twice
    assert words(result) == ["crystal", "duplicate"]


def test_across_the_seams_of_omega_and_eta(tmp_path: Path) -> None:
    """A range of omega from 90 to 270, and an azimuth without poles."""
    sample = small(2, omega=(90.0, 270.0), min_eta=0.0)
    assert (sample.spots["omega_recorded"] < -150).any() and (sample.spots["omega_recorded"] > 150).any()
    result = OwnedLayer(tmp_path, sample, [sample.solution(0), sample.solution(1)]).run()
    assert result.data.grain_quality["SharpCompleteness"].min() > 0.97
    assert (result.data.spot_owners["GrainID"] > 0).mean() > 0.97


def test_a_ring_without_spots_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sample = small(1)
    kept = np.flatnonzero(sample.spots["ring"] != 3)
    sample.spots["ring"][sample.spots["ring"] == 3] = 0
    result = OwnedLayer(tmp_path, sample, [sample.solution(0, spots=(kept + 1).tolist())]).run()
    assert "ring 3 of RingNumbers has no spots and is left out" in caplog.text
    assert result.data.grain_quality["SharpCompleteness"].tolist() == [1]


def test_limits_of_the_own_spots(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sample = small(2)
    layer = OwnedLayer(tmp_path, sample, [sample.solution(0), sample.solution(1)])
    assert len(layer.run(UniqueCompleteness=0).data.grains) == 2
    assert len(layer.run(MinUniqueSpots=1000).data.grains) == 0
    assert "no grain is left: MinUniqueSpots 1000 is too much: the best of 2 solutions without a grain" in caplog.text
    assert layer.files()["SpotOwners"].count(b"\n") == len(sample.spots) + 1
    lines = layer.files()["Grains"].split(b"\n")
    assert lines[0] == b"%NumGrains 0" and len(lines) == 10
    assert len(layer.run(MinSignificance=1e6).data.grains) == 0
    assert len(layer.run(MinNrSpots=2).data.grains) == 0
    assert "MinNrSpots 2 may drop grains" in caplog.text
    assert "no grain is left: MinNrSpots 2 is too much: 2 of 2 solutions without a grain own enough" in caplog.text
    assert "no grain is left: MinSignificance 1e+06 is too much: 2 of 2 solutions" in caplog.text
    layer.run(OwnWindow=0.01)
    assert "no grain is left: OwnWindow 0.01 may be too small: the best of 2 solutions" in caplog.text
    sample.spots["ring"][sample.spots_of(0)[0] - 1] = sample.spots["ring"][sample.spots_of(1)[0] - 1] = 0
    layer.run(UniqueCompleteness=1)
    assert "no grain is left: UniqueCompleteness 1 is too much: the best of 2 solutions" in caplog.text


def test_what_a_later_pass_makes_of_broad_spots_is_no_grain(tmp_path: Path) -> None:
    """Beside a crystal of nearly its orientation it must own half of its reflections; in the first pass it need not."""
    u = scattered(1)[0]
    turned = np.stack([u[0], Rotation.from_rotvec(np.radians([0.0, 0.0, 0.6])).as_matrix() @ u[0]])

    def grains(apart: float, kept: float, passes: str | None, **values: object) -> int:
        sample = Sample(turned, np.array([[0.0, 0.0, 0.0], [apart, 0.0, 0.0]]))
        spots = sample.spots_of(1)
        lost = np.random.default_rng(3).permutation(spots)[int(kept * len(spots)) :]
        sample.spots["ring"][lost - 1] = 0
        rest = sample.solution(1, int(min(set(spots) - set(lost))), spots=sorted(set(spots) - set(lost)))
        layer = OwnedLayer(tmp_path, sample, [sample.solution(0), rest])
        (tmp_path / "SeedPasses.csv").unlink(missing_ok=True)
        if passes:
            (tmp_path / "SeedPasses.csv").write_text(f"%Pass Seeds\n{passes}")
        return len(layer.run(**values).data.grains)

    later = "1 1\n2 1\n"
    assert grains(50, 0.4, later) == 1
    assert grains(50, 0.6, later) == 2
    assert grains(150, 0.4, later) == 2
    assert grains(50, 0.4, later, FamilyAngle=0.5) == 2
    assert grains(50, 0.4, None) == 2
    assert grains(50, 0.4, "1 2\n") == 2
    with pytest.raises(FormatError, match=r"SeedPasses\.csv: counts 5 seeds, SpotsToIndex\.csv has 2"):
        grains(50, 0.4, "1 3\n2 2\n")


def test_tracking_selects_nothing(tmp_path: Path) -> None:
    sample = small(2)
    rows = [sample.solution(0), sample.solution(0), sample.solution(1), None]
    result = OwnedLayer(tmp_path, sample, rows).run(track=True)
    assert len(result.data.grains) == 3
    assert words(result)[:3] == ["crystal"] * 3
    np.testing.assert_allclose([result.data.grains[a][0] for a in "XYZ"], rows[0].position, atol=1e-6)
    owned = result.data.grain_quality["nOwned"]
    assert owned[0] + owned[1] == len(sample.spots_of(0)) and owned[2] == len(sample.spots_of(1))


def test_the_legacy_rule_removes_the_tables_about_owners(tmp_path: Path) -> None:
    sample = small(1)
    layer = OwnedLayer(tmp_path, sample, [sample.solution(0)])
    layer.run()
    assert (tmp_path / "SpotOwners.csv").exists()
    for values in ({"GrainMerging": "legacy"}, {"LegacyDigits": 1}):
        result = layer.run(**values)
        assert result.data.spot_owners is None and "clusters" in result.summary
        assert not any((tmp_path / f"{name}.csv").exists() for name in ("SpotOwners", "GrainQuality", "SeedVerdicts"))
        layer.run()


def test_saturated_spots_are_counted_and_have_less_weight(tmp_path: Path) -> None:
    sample = small(2)
    layer = OwnedLayer(tmp_path, sample, [sample.solution(0), sample.solution(1)])
    layer.run()
    ids = np.array([*sample.spots_of(0)[:3], sample.spots_of(1)[0]])
    rows = ids[1] - 1
    sample.spots["y_plane"][rows] += 100
    moved = layer.run().data.grains["DiffPos"][0]
    ids.sort()
    columns = {"spot_id": ids, "ring": sample.spots["ring"][ids - 1], **dict.fromkeys(("frames", "saturated"), ids * 0)}
    table = Table.from_columns(SPOT_FLAGS.names, {**columns, "unfitted": ids > 0})
    SPOT_FLAGS.write(tmp_path / "SpotFlags.csv", table)
    result = layer.run()
    assert result.data.grain_quality["nSaturated"].tolist() == [3, 1]
    assert result.data.grains["DiffPos"][0] != moved


def test_scales_are_given_or_from_the_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    sample = small(1)
    layer = OwnedLayer(tmp_path, sample, [sample.solution(0)])
    layer.run()
    assert "sigma 50.0 um and 0.050 degrees (from the data), window 3.5 sigma" in caplog.text
    layer.run(OwnSigma="70 0.2", OwnWindow=3)
    assert "sigma 70.0 um and 0.200 degrees (as given), window 3 sigma" in caplog.text
    assert "1 solutions: 1 crystals, 0 duplicates" in caplog.text


@settings(max_examples=8, deadline=None)
@given(order=st.permutations(range(9)), threads=st.integers(1, 3))
def test_order_of_the_seeds_and_threads_change_nothing(
    order: list[int], threads: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    sample = small(3, spurious=30)
    rows = [sample.solution(g, s, shift=20.0) for g in range(3) for s in sample.spots_of(g)[:3]]
    folder = tmp_path_factory.mktemp("layer")
    first = OwnedLayer(folder, sample, rows)
    first.run()
    files = first.files()
    again = OwnedLayer(folder, sample, [rows[i] for i in order])
    again.run(threads=threads)
    assert again.files()["SpotOwners"] == files["SpotOwners"]
    for name in ("Grains", "GrainQuality"):
        assert sorted(again.files()[name].splitlines()) == sorted(files[name].splitlines())
    verdicts = [line.split(b"\t", 1)[1] for line in again.files()["SeedVerdicts"].splitlines()[1:]]
    assert sorted(verdicts) == sorted(line.split(b"\t", 1)[1] for line in files["SeedVerdicts"].splitlines()[1:])


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("GrainMerging", "both", "must be one of legacy, spots, mosaic"),
        ("OwnSigma", "0 0.1", "must be greater than 0"),
        ("OwnWindow", 0, "must be greater than 0 and at most 20"),
        ("OwnWindow", 20.1, "must be greater than 0 and at most 20"),
        ("UniqueCompleteness", 1.01, "must lie in 0 ... 1"),
        ("UniqueCompleteness", -0.1, "must lie in 0 ... 1"),
        ("MosaicTolerance", 0, "must be greater than 0 and at most 10"),
        ("MosaicGap", 2.6, "must not be above MosaicTolerance, which is 2.5"),
    ],
)
def test_values_that_cannot_be(key: str, value: object, message: str, tmp_path: Path) -> None:
    sample = small(1)
    layer = OwnedLayer(tmp_path, sample, [sample.solution(0)])
    layer.run()
    files = layer.files()
    with pytest.raises(ParameterError) as caught:
        layer.run(**{key: value})
    assert key in str(caught.value) and message in str(caught.value)
    assert layer.files() == files


def test_files_that_are_not_there(tmp_path: Path) -> None:
    sample = small(1)
    layer = OwnedLayer(tmp_path, sample, [sample.solution(0)])
    layer.run()
    text = (tmp_path / "SeedVerdicts.csv").read_text()
    (tmp_path / "SeedVerdicts.csv").write_text(text.replace("crystal", "perhaps"))
    with pytest.raises(FormatError, match="line 2.*must be one of crystal, duplicate"):
        read_verdicts(tmp_path / "SeedVerdicts.csv")
    sample.spots["ring"][:] = 9
    with pytest.raises(MidasError, match="no spot of the RingNumbers"):
        layer.run()
    assert not (tmp_path / "Grains.csv").exists()
