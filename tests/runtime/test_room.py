"""How much disk and memory there is (docs/theory/conventions.md#memory-threads-and-disk)."""

from __future__ import annotations

import os
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from midas.archive import DATA, ArchiveWriter
from midas.results.hdf5.writing import atomic_hdf5
from midas.runtime import room
from midas.runtime.errors import MidasError, OutputError

Statvfs = namedtuple("Statvfs", "f_bavail f_frsize f_blocks f_favail f_files")


def have_free(monkeypatch: pytest.MonkeyPatch, size: int, files: int = 10**6) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: Statvfs(size // 512, 512, 10**9, files, 10**7))


def test_sizes_for_a_reader() -> None:
    assert [room.size_text(size) for size in (0, 1500, 2_345_678, 1.6e9, 3e12)] == [
        "0 kB", "1.5 kB", "2.35 MB", "1.6 GB", "3 TB",
    ]  # fmt: skip


def test_disk_of_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    free = room.free_disk(tmp_path / "a" / "b" / "c.csv")
    assert free is not None and free > 0
    room.need_disk(tmp_path / "a" / "b", 1, "a byte", files=1)


def test_disk_with_the_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    have_free(monkeypatch, 900_000_000, 5)
    room.need_disk(tmp_path, 899_000_000, "it", files=5)
    with pytest.raises(OutputError) as caught:
        room.need_disk(tmp_path, 1.6e9, "binning")
    reason = "binning needs at least 1.6 GB of disk, of which 900 MB are free; make room, or write elsewhere"
    assert str(caught.value) == f"{tmp_path}: {reason}"
    with pytest.raises(OutputError, match="makes 6 files, of which the file system has room for 5"):
        room.need_disk(tmp_path, 0, "the peak search", files=6)


def test_memory_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "free_memory", lambda: 2_000_000_000)
    room.need_memory(2e9, "it")
    with pytest.raises(MidasError, match=r"^not enough memory: it needs at least 3 GB, of which 2 GB are free; wait$"):
        room.need_memory(3e9, "it", "wait")


@pytest.mark.parametrize("version", [1, 2])
def test_control_groups(version: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tightest of a job and what is above it, with the files in memory that make room."""
    group = tmp_path / "memory" / "slurm" / "job" if version == 1 else tmp_path / "slurm" / "job"
    limit, used = (
        ("memory.limit_in_bytes", "memory.usage_in_bytes") if version == 1 else ("memory.max", "memory.current")
    )
    group.mkdir(parents=True)
    (group / limit).write_text("4000000000\n")
    (group / used).write_text("3000000000\n")
    (group / "memory.stat").write_text("inactive_file 200000000\nactive_file 100000000\nanon 5\n")
    (group.parent / limit).write_text("max\n" if version == 2 else "9223372036854771712\n")
    (group.parent / used).write_text("3000000000\n")
    (tmp_path / "cgroup").write_text("4:memory:/slurm/job\n" if version == 1 else "0::/slurm/job\n")
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 97656250 kB\nSwapFree: 0 kB\n")
    monkeypatch.setattr(room, "_GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(room, "_GROUP_ROOT", tmp_path)
    monkeypatch.setattr(room, "_MEMORY", tmp_path / "meminfo")
    assert room.free_memory() == 1_300_000_000


def test_archive_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first frames tell, and nothing is left."""
    frame = np.random.default_rng(1).integers(0, 1 << 16, (64, 64), np.uint16)
    path = tmp_path / "scan.MIDAS.zip"

    def write() -> int:
        with ArchiveWriter(path, (200, 64, 64), frame.dtype, threads=1) as writer:
            writer.add_frames(DATA, (200, 64, 64), [frame] * 200)
        return path.stat().st_size

    whole = write()
    path.unlink()
    have_free(monkeypatch, whole)
    assert write() == whole
    path.unlink()
    have_free(monkeypatch, whole // 3)
    with pytest.raises(OutputError, match="184 more frames like the first 16, needs at least .* kB of disk"):
        write()
    assert not list(tmp_path.iterdir())


def test_hdf5_file_that_does_not_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for is nearly the size of the file."""
    path, values = tmp_path / "results.h5", np.arange(100_000.0)

    def write() -> int:
        with atomic_hdf5(path) as root:
            root.put("values", values)
        return path.stat().st_size

    whole = write()
    have_free(monkeypatch, whole + 512)
    write()
    have_free(monkeypatch, int(0.95 * whole))
    with pytest.raises(OutputError, match="needs at least 80. kB of disk"):
        write()
    assert [file.name for file in tmp_path.iterdir()] == ["results.h5"]
