"""Lists and script for Neper: quaternions of the active rotation from sample axes to crystal axes."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest

from midas.results.exchange import neper
from midas.results.exchange.crystal_frames import cell_vectors

from .sample import CRYSTALS, a_along_x, exported, grains, turned_by


@pytest.mark.parametrize("crystal", CRYSTALS)
def test_lists(crystal: str) -> None:
    some = grains(crystal)
    files = neper.files(exported(some))
    lists = {
        ending: np.array([line.split() for line in files[ending].splitlines()], float) for ending in list(files)[:3]
    }
    np.testing.assert_allclose(lists[neper.CENTRES], some.positions, atol=1e-9)
    np.testing.assert_allclose(lists[neper.RADII][:, 0], some.radii, atol=1e-9)
    for q, u in zip(lists[neper.ORIENTATIONS], some.orientations, strict=True):
        np.testing.assert_allclose(turned_by(q) @ a_along_x(some.cell), u @ cell_vectors(some.cell), atol=1e-9)


def test_script_runs(tmp_path: Path) -> None:
    """With a neper that tells how it was called, from another folder and with further options."""
    some = grains("hexagonal")
    folder = tmp_path / "some where"
    folder.mkdir()
    for ending, content in neper.files(exported(some, box=(-500, 500, -400, 400, -300, 300))).items():
        (folder / f"layer{ending}").write_bytes(content)
    fake = tmp_path / "bin" / "neper"
    fake.parent.mkdir()
    fake.write_text('#!/bin/sh\npwd\nfor word in "$@"; do printf "%s\\n" "$word"; done\n')
    fake.chmod(0o755)
    command = ["sh", str(folder / "layer.neper.sh"), "-statcell", "vol"]
    done = subprocess.run(
        command, env={"PATH": f"{fake.parent}:/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    place, *words = done.stdout.splitlines()
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert place == str(folder) and words[0] == "-T" and options["-n"] == "4" and options["-statcell"] == "vol"
    assert (
        options["-domain"] == "cube(1000.000000,800.000000,600.000000):translate(-500.000000,-400.000000,-300.000000)"
    )
    assert options["-morphooptiini"] == "coo:file(layer.neper-centres),weight:file(layer.neper-radii)"
    assert options["-ori"] == "file(layer.neper-orientations,des=quaternion:active)"
    assert options["-oricrysym"] == "6/mmm" and options["-o"] == "layer"
    for name in ("layer.neper-centres", "layer.neper-radii", "layer.neper-orientations"):
        assert len((folder / name).read_text().splitlines()) == 4
    assert shlex.split((folder / "layer.neper.sh").read_text(), comments=True)
