"""The powder profile of a layer."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from midas.archive import Archive
from midas.results.evidence import powder_profile
from midas.results.reading import Results, read_results
from midas.runtime.errors import StageError


def test_all_intensity_is_in_the_profile(results: Results) -> None:
    profile = powder_profile(results)
    table = results.all_spots
    assert table is not None
    on_rings = table["ring"] > 0
    assert profile.spots.sum() == on_rings.sum()
    assert np.isclose(profile.intensity.sum(), table["intensity"][on_rings].sum())
    assert profile.source == "spots" and len(profile.two_theta) == len(profile.intensity) + 1


@pytest.mark.parametrize("frames", [0, 180])
def test_peaks_lie_on_the_rings_in_use(results: Results, frames: int) -> None:
    profile = powder_profile(results, frames)
    px_angle = np.degrees(results.parameters["px"] / results.parameters["Distance"])
    for ring in profile.rings:
        near = abs(profile.middle - ring.two_theta) < 2 * px_angle
        between = (abs(profile.middle - ring.two_theta) > 4 * px_angle) & (
            abs(profile.middle - ring.two_theta) < 6 * px_angle
        )
        for other in profile.rings:
            between &= abs(profile.middle - other.two_theta) > 3 * px_angle
        if ring.used and between.any():
            assert profile.intensity[near].max() > 10 * max(profile.intensity[between].max(), 1e-9)


def test_rings_have_names(results: Results) -> None:
    rings = powder_profile(results).rings
    assert [ring.names for ring in rings[:5]] == ["1 1 1", "2 0 0", "2 2 0", "3 1 1", "2 2 2"]
    assert [ring.number for ring in rings if ring.used] == list(np.atleast_1d(results.parameters["RingNumbers"]))


def test_what_is_missing_is_named(layer_folder: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(layer_folder, tmp_path / "copy", symlinks=True))
    next(folder.glob("*.MIDAS.zip")).unlink()
    results = read_results(folder)
    with pytest.raises(StageError, match="has no archive"):
        powder_profile(results, frames=5)
    assert powder_profile(results).spots.sum() > 0
    (folder / "InputAllExtraInfoFittingAll.csv").unlink()
    with pytest.raises(StageError, match="InputAllExtraInfoFittingAll.csv: is missing"):
        powder_profile(read_results(folder))


def test_a_profile_of_frames_is_the_mean_of_their_pixels(results: Results) -> None:
    """Bin by bin against the frames themselves, of a detector without tilts."""
    profile = powder_profile(results, 4)
    assert results.archive is not None
    with Archive(results.archive) as archive:
        which = np.unique(np.linspace(0, len(archive.frames) - 1, 4).round().astype(int))
        mean = np.mean([archive.frames[int(frame)].astype(float) for frame in which], axis=0)
        y_bc, z_bc = archive.parameters["BC"]
    px, lsd = results.parameters["px"], results.parameters["Distance"]
    z, y = np.indices(mean.shape)
    two_theta = np.degrees(np.arctan(px * np.hypot(y - y_bc, z - z_bc) / lsd))
    for low, high, found in zip(profile.two_theta[:-1:9], profile.two_theta[1::9], profile.intensity[::9], strict=True):
        inside = (two_theta >= low) & (two_theta < high)
        assert np.isclose(found, mean[inside].mean() if inside.any() else 0.0, rtol=1e-6, atol=1e-9)
