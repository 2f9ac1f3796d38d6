"""Copies by the kernel, and without it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import NoReturn

import pytest

from midas.runtime.copying import copy_content

CONTENT = os.urandom(3 << 20) + b"end"


def copied(source: Path, target: Path, skip: int = 0, head: bytes = b"") -> bytes:
    with open(source, "rb") as stream, open(target, "wb") as copy:
        stream.read(skip)
        copy.write(head)
        copy_content(stream, copy)
        copy.write(b"!")
    return target.read_bytes()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize("number", [None, errno.EXDEV, errno.ENOSYS, errno.EINVAL])
def test_what_is_left_of_one_file_is_appended(
    number: int | None, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if number is not None:

        def refuse(*_: object, **__: object) -> NoReturn:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "copy_file_range", refuse)
    assert copied(source, tmp_path / "copy") == CONTENT + b"!"
    assert copied(source, tmp_path / "copy", 1000, b"head") == b"head" + CONTENT[1000:] + b"!"
    source.write_bytes(b"")
    assert copied(source, tmp_path / "copy") == b"!"


def test_files_that_are_made_up_as_they_are_read(tmp_path: Path) -> None:
    stat = Path("/proc/self/status")
    if not stat.exists():
        pytest.skip("no /proc here")
    assert copied(stat, tmp_path / "copy").startswith(b"Name:")


def test_a_full_disk_is_said(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "copy_file_range", full)
    with pytest.raises(OSError, match="No space"):
        copied(source, tmp_path / "copy")
