"""An archive or a cache that somebody else made is data: no command runs what it says."""

from __future__ import annotations

import pickle
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from payload import Payload

from midas.parameters import ANALYSIS

from .contents import Contents
from .harness import ARCHIVE, BY_NAME, FRAMES, PROGRAMS, Program, call, prepare

FRAMES_OF = {"data": FRAMES, "dark": 1, "mask": 1}
AGAIN = next(program for program in PROGRAMS if program.variant == "again")
SPARSE = next(program for program in PROGRAMS if program.variant == "sparse")
MASKED = next(program for program in PROGRAMS if program.variant == "with mask" and program.inputs[-1] == "mask.tif")


#: scripts know the codes of the peak search: 3 is the archive, 5 its frames, 6 what corrects them
CODES_OF_PEAKS = {"exchange/data": 5, "exchange/dark": 6, "exchange/mask": 6}


def plant(contents: Contents, path: str, mark: Path, use: str) -> None:
    """Put a pickle where an array is; the frames keep their shape."""
    is_stack = path.startswith("exchange/")
    shape = [FRAMES_OF[path.rpartition("/")[2]], 256, 256] if is_stack else [1]
    content = pickle.dumps(Payload(mark))
    changes: dict[str, Any] = {"compressor": {"id": "pickle"}, "filters": None}
    if use != "compressor":
        content = zlib.compress(content)
        changes = {"compressor": {"id": "zlib", "level": 1}, "filters": [{"id": "pickle", "protocol": 5}]}
    members = {name: c for name, c in contents.members.items() if not name.startswith(f"{path}/")}
    contents.members = members
    contents.describe(
        path, zarr_format=2, shape=shape, chunks=[1, *shape[1:]], fill_value=None, order="C",
        dtype="|O" if use == "object" else "<u2" if is_stack else "<f8", **changes,
    )  # fmt: skip
    for index in range(shape[0]):
        members[f"{path}/{'.'.join([str(index), *'0' * (len(shape) - 1)])}"] = content


PLACES = {
    "exchange/data": ("PeaksFittingOMPZarrRefactor", "ff_MIDAS.py", AGAIN),
    "exchange/dark": ("PeaksFittingOMPZarrRefactor", "ff_MIDAS.py", AGAIN),
    "exchange/mask": ("PeaksFittingOMPZarrRefactor", "ff_MIDAS.py", AGAIN),
    ANALYSIS + "Lsd": ("GetHKLListZarr", "PeaksFittingOMPZarrRefactor", "ff_MIDAS.py"),
    ANALYSIS + "PanelShiftsFile": ("GetHKLListZarr", "PeaksFittingOMPZarrRefactor", "ff_MIDAS.py"),
}
CASES = [(path, BY_NAME[p] if isinstance(p, str) else p) for path, users in PLACES.items() for p in users]


@pytest.mark.parametrize("use", ["compressor", "filter", "object"])
@pytest.mark.parametrize(("path", "program"), CASES, ids=lambda c: str(c).rpartition("/")[2])
def test_a_pickle_in_an_archive(
    path: str, program: Program, use: str, pristine: Path, tmp_path: Path, mark: Path
) -> None:
    folder = prepare(program, pristine, tmp_path / "layer")
    contents = Contents(folder / ARCHIVE)
    plant(contents, path, mark, use)
    contents.save()
    outcome = call(program, folder)
    outcome.must_fail(program)
    assert outcome.code == (CODES_OF_PEAKS.get(path, 3) if program.name.startswith("Peaks") else 1)
    for part in (ARCHIVE, path, "'pickle'", "write this dataset again"):
        assert part in outcome.stderr
    assert not mark.exists()


def test_the_installed_command_refuses_a_pickle(pristine: Path, tmp_path: Path, mark: Path) -> None:
    """A process of its own, with the permission that numcodecs asks of whoever trusts the data."""
    program = BY_NAME["GetHKLListZarr"]
    folder = prepare(program, pristine, tmp_path / "layer")
    contents = Contents(folder / ARCHIVE)
    plant(contents, ANALYSIS + "Lsd", mark, "filter")
    contents.save()
    done = subprocess.run(
        [sys.executable, "-m", "midas", "ff-hkls", ARCHIVE], cwd=folder, capture_output=True, text=True,
        env={"NUMCODECS_ALLOW_UNSAFE_PICKLE_DECODE": "1", "PATH": "/usr/bin"},
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert len(done.stderr.splitlines()) == 1 and "'pickle'" in done.stderr
    assert not mark.exists()


@pytest.mark.parametrize("name", ["shape", "nframes", "dtype", "omega", "0_row", "0_col", "0_data"])
def test_a_pickle_in_a_sparse_cache(name: str, pristine: Path, tmp_path: Path, mark: Path) -> None:
    folder = prepare(SPARSE, pristine, tmp_path / "layer")
    with np.load(folder / "raw.npz") as cache:
        content = dict(cache)
    content[name] = np.array([Payload(mark)] * 2, object)
    np.savez(folder / "raw.npz", **content)
    outcome = call(SPARSE, folder)
    outcome.must_fail(SPARSE)
    assert outcome.code == 1
    assert f"raw.npz: {name}: holds Python objects, which are never read" in outcome.stderr
    assert not mark.exists()


@pytest.mark.parametrize("name", ["raw.npz", "mask.tif", "dark.h5", "raw.h5", ARCHIVE, "Parameters.txt"])
def test_a_pickle_in_place_of_a_file(name: str, pristine: Path, tmp_path: Path, mark: Path) -> None:
    program = SPARSE if name == "raw.npz" else AGAIN if name == ARCHIVE else MASKED
    folder = prepare(program, pristine, tmp_path / "layer")
    (folder / name).write_bytes(pickle.dumps(Payload(mark)))
    outcome = call(program, folder)
    outcome.must_fail(program, name)
    assert outcome.code == 1
    assert not mark.exists()
