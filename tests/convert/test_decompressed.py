"""Compressed files as streams and as copies, and what is left of the copies: nothing."""

from __future__ import annotations

import bz2
import gc
import gzip
from pathlib import Path

import numpy as np
import pytest

from midas.convert import decompressed
from midas.runtime.errors import FormatError

from .raw_files import compressed

CONTENT = np.random.default_rng(0).integers(0, 9, 1 << 18).astype("u1").tobytes()


@pytest.mark.parametrize("suffix", ["", *decompressed.SUFFIXES])
def test_the_bytes_are_those_that_were_compressed(tmp_path: Path, suffix: str) -> None:
    path = compressed(tmp_path / f"scan.ge3{suffix}", CONTENT)
    before = path.read_bytes()
    assert decompressed.plain(path).name == "scan.ge3"
    assert decompressed.is_compressed(path) == bool(suffix)
    with decompressed.opened(path) as stream:
        assert stream.read(100) == CONTENT[:100]
        assert stream.read(200_000) == CONTENT[100:200_100]
        assert stream.read() == CONTENT[200_100:]
    assert decompressed.beginning(path, 7) == CONTENT[:7]
    assert decompressed.content(path).read() == CONTENT
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_several_streams_in_one_file(tmp_path: Path) -> None:
    """As parallel programs write them (pbzip2, pigz)."""
    for suffix, compress in ((".bz2", bz2.compress), (".gz", gzip.compress)):
        path = tmp_path / f"scan{suffix}"
        path.write_bytes(compress(CONTENT[:1000]) + compress(CONTENT[1000:]))
        assert decompressed.content(path).read() == CONTENT


@pytest.mark.parametrize("suffix", decompressed.SUFFIXES)
def test_a_copy_lives_as_long_as_its_owner(tmp_path: Path, suffix: str) -> None:
    class Owner:
        pass

    path, scratch = compressed(tmp_path / f"scan.h5{suffix}", CONTENT), tmp_path / "results"
    owner = Owner()
    copy = decompressed.seekable(path, scratch, owner)
    assert copy.parent == scratch and copy.name.startswith("scan.h5.") and copy.read_bytes() == CONTENT
    del owner
    gc.collect()
    assert not list(scratch.iterdir()) and path.exists()


def test_a_plain_file_needs_no_copy(tmp_path: Path) -> None:
    path = compressed(tmp_path / "scan.h5", CONTENT)
    assert decompressed.seekable(path, tmp_path / "results", path) == path
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("suffix", decompressed.SUFFIXES)
def test_damage_is_one_line_and_leaves_no_copy(tmp_path: Path, suffix: str) -> None:
    path, scratch = compressed(tmp_path / f"scan.h5{suffix}", CONTENT), tmp_path / "results"
    whole = path.read_bytes()
    middle = len(whole) // 2
    for damaged in (whole[:middle], b"no compressed file", whole[:middle] + bytes(100) + whole[middle + 100 :]):
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match=r"cannot be decompressed \([^\n]+\)$") as caught:
            decompressed.seekable(path, scratch, test_damage_is_one_line_and_leaves_no_copy.__code__.replace())
        assert caught.value.file == str(path)
        with pytest.raises(FormatError, match="cannot be decompressed"):
            decompressed.content(path)
    caught = None
    gc.collect()
    assert not scratch.exists() or not list(scratch.iterdir())
    with pytest.raises(FormatError, match="must be decompressed first"):
        decompressed.seekable(path, None, path)
    path.unlink()
    with pytest.raises(FormatError, match="cannot be read"):
        decompressed.opened(path)
