"""The referee itself: it knows nothing of the suite, and its spots fulfil the laws that they are made by."""

from __future__ import annotations

import ast
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from .referee.crystals import Crystal, axes_of, face_centred, lattice_symmetry, reflections_of
from .referee.frames import Recording, Scan, expose
from .referee.instrument import Instrument
from .referee.judging import judge
from .referee.lists import FoundGrain
from .referee.rotations import about, by_vector, random
from .referee.tracing import firing_angles, trace

FOLDER = Path(__file__).parent / "referee"
NICKEL = (3.524, 3.524, 3.524, 90.0, 90.0, 90.0)
OBLIQUE = (4.1, 5.3, 6.7, 82.0, 97.0, 105.0)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_it_imports_numpy_and_itself_alone(path: Path) -> None:
    """Neither the suite nor anything that could bring it along; a name made at run time would be an import as well."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= 1, "a module outside the folder"
            imported.add((FOLDER.name if node.level else node.module or "").split(".")[0])
        elif isinstance(node, ast.Name):
            assert node.id not in ("__import__", "eval", "exec")
    allowed = {"numpy", FOLDER.name, *sys.stdlib_module_names} - {"importlib", "runpy", "subprocess"}
    assert imported <= allowed


def crystals(cell: tuple[float, ...] = NICKEL, count: int = 3, seed: int = 5) -> list[Crystal]:
    rng = np.random.default_rng(seed)
    strain = rng.uniform(-1e-3, 1e-3, (count, 3, 3))
    parts = zip(random(rng, count), rng.uniform(-300, 300, (count, 3)), strain + strain.swapaxes(1, 2), strict=True)
    return [Crystal(cell, u, position, e) for u, position, e in parts]


@given(
    axis=st.tuples(*[st.floats(-1, 1)] * 3).filter(lambda a: np.linalg.norm(a) > 0.1 and np.hypot(a[1], a[2]) > 0.05),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=30)
def test_vectors_fire_about_any_axis(axis: tuple[float, float, float], seed: int) -> None:
    """After the turn the scattered beam is as long as the primary one; nothing that could fire is left out."""
    unit, wavelength = np.array(axis) / np.linalg.norm(axis), 0.17
    vectors = np.random.default_rng(seed).normal(size=(40, 3))
    angles = np.array(firing_angles(vectors, unit, wavelength))
    missing = np.isnan(angles[0])
    for branch in angles:
        turned = np.einsum("nij,nj->ni", about(unit, branch[~missing]), vectors[~missing])
        length = np.linalg.norm(turned + [1 / wavelength, 0, 0], axis=1) * wavelength
        np.testing.assert_allclose(length, 1, rtol=0, atol=1e-14)
    every = np.einsum("aij,nj->nai", about(unit, np.arange(0.0, 360, 2.0)), vectors[missing])
    mismatch = every[..., 0] + wavelength / 2 * np.sum(every**2, axis=-1)
    assert np.all(np.abs(np.sign(mismatch).sum(axis=1)) == mismatch.shape[1])  # it never changes its sign


def test_rays_and_pixels_there_and_back() -> None:
    """The pixel that a beam is said to hit lies on the beam; with distortion, as far from it as the factor says."""
    bent = Instrument(tilts=(3, 5, -6), distortion=(1e-3, -5e-4, 3e-3, 20.0), beam_centre=(120, 133), wedge=0.5)
    flat = Instrument(tilts=bent.tilts, beam_centre=bent.beam_centre, wedge=bent.wedge)
    grains, hkl = crystals(), reflections_of(NICKEL, 1.0, face_centred)
    spots = trace(grains, hkl, flat)
    local = np.column_stack(
        [np.zeros(len(spots)), (120 - spots.y_px) * flat.px, (spots.z_px - 133) * flat.px]
    ) @ flat.detector().T + [flat.lsd, 0, 0]
    origins = np.einsum(
        "nij,nj->ni", flat.to_laboratory(spots.omega), np.array([grains[c].position for c in spots.crystal])
    )
    ray = (local - origins) / np.linalg.norm(local - origins, axis=1)[:, None]
    np.testing.assert_allclose(np.degrees(np.arccos(ray[:, 0])), spots.two_theta, rtol=0, atol=1e-9)
    np.testing.assert_allclose(np.degrees(np.arctan2(-ray[:, 1], ray[:, 2])), spots.eta, rtol=0, atol=1e-9)
    # The same beams read out by a distorted detector: the factor of the pixel carries it back.
    seen = trace(grains, hkl, bent)
    y, z = (_from_origin(flat, s.y_px, s.z_px) for s in (spots, seen))
    radius, eta = np.hypot(*z), np.degrees(np.arctan2(-z[0], z[1]))
    np.testing.assert_allclose(np.array(z) * bent.factor(radius, eta), y, rtol=0, atol=1e-8)
    assert np.abs(np.array(z) - y).max() > 50


def _from_origin(instrument: Instrument, y_px: np.ndarray, z_px: np.ndarray) -> np.ndarray:
    """(2, n) y and z on the plane across the beam in line with pixels, as the origin sees it."""
    y, z = (instrument.beam_centre[0] - y_px) * instrument.px, (z_px - instrument.beam_centre[1]) * instrument.px
    x, y, z = instrument.detector() @ [np.zeros_like(y), y, z] + [[instrument.lsd], [0], [0]]
    return instrument.lsd * np.array([y, z]) / x


def test_lattices() -> None:
    axes = axes_of(OBLIQUE)
    lengths = np.linalg.norm(axes, axis=0)
    cosine = [axes[:, i] @ axes[:, j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
    np.testing.assert_allclose([*lengths, *np.degrees(np.arccos(cosine))], OBLIQUE, rtol=1e-13)
    reciprocal = np.linalg.inv(axes)  # rows
    np.testing.assert_allclose(reciprocal[0, 1:], 0, atol=1e-15)  # the reciprocal a along x
    np.testing.assert_allclose(axes[:2, 2], 0, atol=1e-15)  # c along z
    kinds = {NICKEL: 24, (3.0, 3.0, 4.7, 90, 90, 120): 12, (3, 3, 4, 90, 90, 90): 8, (3, 4, 5, 90, 90, 90): 4}
    assert {cell: len(lattice_symmetry(cell)) for cell in [*kinds, OBLIQUE]} == {**kinds, OBLIQUE: 1}
    assert len(reflections_of(NICKEL, 3.5239 / np.sqrt(3), face_centred)) == 8


def test_frames_hold_the_counts_where_the_spots_are() -> None:
    """A spot appears with all its counts and with its centre, in every turn of the scan; full pixels clip."""
    instrument = Instrument(shape=(40, 50))
    spots = trace(crystals(count=1), reflections_of(NICKEL, 1.7, face_centred), instrument)
    one = replace(spots.take(np.array([0])), omega=np.array([37.21]), y_px=np.array([22.3]), z_px=np.array([15.8]))
    scan, recording = Scan(-90, 0.5, 360), Recording(counts=1e5, background=100)
    stack = expose(one, instrument.shape, scan, recording).astype(float) - 100
    assert stack.sum() == pytest.approx(1e5, rel=1e-3)  # what lies beyond four deviations
    frame, row, column = np.indices(stack.shape)
    centre = [(a * stack).sum() / stack.sum() for a in (frame, row, column)]
    np.testing.assert_allclose(centre[1:], [one.z_px[0], one.y_px[0]], atol=2e-3)
    assert scan.start + scan.step * (centre[0] + 0.5) == pytest.approx(one.omega[0], abs=2e-3)
    turns = expose(one, instrument.shape, Scan(-360, 1.0, 720), recording).astype(float) - 100
    assert turns.sum() == pytest.approx(2e5, rel=1e-3)
    np.testing.assert_array_equal(turns[:360], turns[360:])
    backwards = expose(one, instrument.shape, Scan(90, -0.5, 360), recording)
    np.testing.assert_array_equal(backwards[::-1], stack + 100)
    assert expose(one, instrument.shape, scan, Recording(counts=1e6, full_scale=4000)).max() == 4000
    noisy = expose(one, instrument.shape, scan, Recording(counts=0, background=20, noise=True)).astype(float)
    assert noisy.mean() == pytest.approx(20, rel=1e-2)
    assert noisy.var() == pytest.approx(20, rel=1e-2)


def test_pieces_of_a_crystal_spread_about_it() -> None:
    [whole] = crystals(count=1)
    whole = Crystal(whole.cell, whole.orientation, whole.position, whole.strain, 2.0, size=30.0, mosaic=0.1)
    pieces = whole.pieces(np.random.default_rng(1), 400)
    assert sum(piece.strength for piece in pieces) == pytest.approx(2)
    positions = np.array([piece.position for piece in pieces])
    np.testing.assert_allclose(positions.mean(axis=0), whole.position, atol=1e-9)
    np.testing.assert_allclose(positions.std(axis=0), 30, rtol=0.15)
    turns = np.array([piece.orientation @ whole.orientation.T for piece in pieces])
    np.testing.assert_allclose(np.degrees(turns[:, 2, 1]).std(), 0.1, rtol=0.15)
    assert Crystal(NICKEL, np.eye(3), np.zeros(3)).pieces(np.random.default_rng(1), 9)[0].strength == 1


def test_the_judge_sees_what_is_wrong() -> None:
    """A list that is right but for a known turn, shift and strain, with a ghost, and with a grain lost."""
    true = crystals(count=4)
    half_step = about([0, 0, 1], 0.25)
    found = []
    for crystal, setting in zip(true[1:], lattice_symmetry(NICKEL)[[3, 8, 20]], strict=True):
        lattice = by_vector([0.01, 0, 0]) @ half_step @ (1.0001 * crystal.lattice()) @ setting
        q, r = np.linalg.qr(np.linalg.inv(lattice).T)
        u = q * np.sign(np.diag(r))
        cell = u.T @ lattice
        lengths = np.linalg.norm(cell, axis=0)
        cosine = [cell[:, i] @ cell[:, j] / lengths[i] / lengths[j] for i, j in ((1, 2), (0, 2), (0, 1))]
        parameters = (*lengths.tolist(), *np.degrees(np.arccos(cosine)).tolist())
        found.append(FoundGrain(u, half_step @ crystal.position + [0, 3, 4], parameters, 1.0))
    ghost = FoundGrain(random(np.random.default_rng(9), 1)[0], np.zeros(3), NICKEL, 0.8)
    verdict = judge(true, [*found, ghost], 0.25)
    assert verdict.missing == (0,)
    assert verdict.spurious == 1
    np.testing.assert_allclose(verdict.angle, 0.01, rtol=1e-6)
    np.testing.assert_allclose(verdict.distance, 5)
    np.testing.assert_allclose(verdict.strain, 100, rtol=1e-2)
    twice = judge(true, [*found, found[0]], 0.25)
    assert (twice.missing, twice.spurious) == ((0,), 1)
    assert judge(true, [], 0.25).missing == (0, 1, 2, 3)
