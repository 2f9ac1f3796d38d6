"""Files of fixed slots that members of a run fill in any order."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from midas.formats.slots import SlotFile, shorten
from midas.runtime.errors import OutputError


@given(order=st.permutations(range(6)), lengths=st.lists(st.integers(1, 10), min_size=6, max_size=6))
def test_any_order_gives_the_same_file(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], lengths: list[int]
) -> None:
    path = tmp_path_factory.mktemp("slots") / "x.bin"
    for row in order:
        with SlotFile(path, 10) as file:
            file.write(row, bytes([row + 1]) * lengths[row])
    expected = b"".join((bytes([row + 1]) * lengths[row]).ljust(10, b"\0") for row in range(6))
    assert path.read_bytes() == expected[: 50 + lengths[5]]


def test_the_first_record_creates_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    with SlotFile(path, 8) as file:
        file.shorten(3)
        assert not path.exists()
        file.write(2, b"abc")
    assert path.read_bytes() == bytes(16) + b"abc"


def test_shorten(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    path.write_bytes(b"0123456789")
    SlotFile(path, 4).shorten(5)
    assert path.read_bytes() == b"0123456789"
    SlotFile(path, 4).shorten(2)
    assert path.read_bytes() == b"01234567"


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"missing/x\.bin"), SlotFile(tmp_path / "missing" / "x.bin", 4) as file:
        file.write(0, b"a")
    with pytest.raises(OutputError), SlotFile(Path("/dev/full"), 4) as file:
        file.write(0, b"a")


def test_reserved_room_and_clearing(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    with SlotFile(path, 8) as file:
        assert not file.reserve(3)
        assert path.stat().st_size == 24
        file.write(1, b"12345678")
        file.write(2, b"abcdefgh")
        file.clear(1, 3)
        assert file.reserve(2)
    assert path.read_bytes() == bytes(8) + b"123" + bytes(5) + b"abcdefgh"


def test_clearing_keeps_holes(tmp_path: Path) -> None:
    path = tmp_path / "x.bin"
    slot = 1 << 20
    with SlotFile(path, slot) as file:
        file.reserve(4)
        file.write(1, b"x" * 100)
        file.clear(1, 10)
        file.clear(2, 0)
    content = path.read_bytes()
    assert content[slot : slot + 100] == b"x" * 10 + bytes(90)
    assert len(content) == 4 * slot
    assert path.stat().st_blocks * 512 < slot


def test_a_link_in_the_place_of_a_file_is_not_written_through(tmp_path: Path) -> None:
    """In a layer of somebody else it may lead to anything."""
    victim, link = tmp_path / "victim", tmp_path / "IndexBest.bin"
    victim.write_bytes(b"as before")
    link.symlink_to(victim)
    with SlotFile(link, 8) as file, pytest.raises(OutputError, match="cannot be written"):
        file.write(0, bytes(8))
    with pytest.raises(OutputError, match="cannot be written"):
        shorten(link, 1)
    assert victim.read_bytes() == b"as before"
