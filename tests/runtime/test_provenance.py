"""Where a result comes from: hashes of inputs, dates, the command line, the head of a table."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from midas import __version__
from midas.runtime import provenance
from midas.runtime.errors import FormatError
from midas.runtime.provenance import MEMBERS, SAMPLES, WHOLE, fingerprint, header_lines, of_members


def test_a_file_has_the_hash_that_other_programs_print(tmp_path: Path) -> None:
    (tmp_path / "ps.txt").write_bytes(b"Lsd 1000000\n" * 1000)
    found = fingerprint(tmp_path / "ps.txt")
    assert found.sha256 == hashlib.sha256(b"Lsd 1000000\n" * 1000).hexdigest()
    assert (found.path, found.size, found.of, found.files) == (str(tmp_path / "ps.txt"), 12000, WHOLE, 1)


def test_files_that_belong_together(tmp_path: Path) -> None:
    """Names, order and content count."""
    paths = [tmp_path / f"scan_{i}.tif" for i in range(3)]
    for i, path in enumerate(paths):
        path.write_bytes(bytes(100 + i))
    first = fingerprint(*paths)
    assert (first.files, first.size) == (3, 303)
    assert fingerprint(*paths).sha256 == first.sha256 != fingerprint(*paths[::-1]).sha256
    paths[1].write_bytes(bytes(100) + b"x")
    assert fingerprint(*paths).sha256 != first.sha256


def test_large_files_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """First and last bytes and the size among what counts; samples go over the ends of files."""
    monkeypatch.setattr(provenance, "_MOST_BYTES", 1000)
    monkeypatch.setattr(provenance, "_SAMPLE_BYTES", 100)
    monkeypatch.setattr(provenance, "_SAMPLES", 4)
    path = tmp_path / "raw.h5"
    content = bytes(range(200)) * 10
    path.write_bytes(content)
    found = fingerprint(path)
    parts = [content[start : start + 100] for start in (0, 633, 1266, 1900)]
    assert (found.of, found.sha256) == (SAMPLES, hashlib.sha256(b"2000\n" + b"".join(parts)).hexdigest())
    for place, same in ((0, False), (1999, False), (700, False), (300, True)):
        changed = bytearray(content)
        changed[place] ^= 255
        path.write_bytes(changed)
        assert (fingerprint(path).sha256 == found.sha256) == same, place
    halves = [tmp_path / "a", tmp_path / "none", tmp_path / "b"]
    for half, part in zip(halves, (content[:680], b"", content[680:]), strict=True):
        half.write_bytes(part)
    names = b"a 680\nnone 0\nb 1320\n"
    assert fingerprint(*halves).sha256 == hashlib.sha256(names + b"2000\n" + b"".join(parts)).hexdigest()


def test_a_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"nothing\.h5: cannot be read"):
        fingerprint(tmp_path / "nothing.h5")


def test_members_of_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"zip")
    found = of_members(tmp_path / "a.zip", {"b": 1, "a": 2})
    assert (found.of, found.size) == (MEMBERS, 3)
    assert found.sha256 == hashlib.sha256(b"a 00000002\nb 00000001\n").hexdigest()


def test_the_date_can_be_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert provenance.now() == "1970-01-02T00:00:00Z"
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert provenance.now() > "2026"


def test_the_outermost_words_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/usr/bin/mine.py", "a b"])
    assert provenance.command_line() == "mine.py 'a b'"
    with provenance.called("ff-midas demo"):
        with provenance.called("midas.run()"):
            assert provenance.command_line() == "ff-midas demo"
        assert provenance.command_line() == "ff-midas demo"
    assert provenance.command_line() == "mine.py 'a b'"


def test_head_of_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    (tmp_path / "Grains.csv").write_bytes(b"x")
    with provenance.called("ff-stress .\nx"):
        lines = header_lines("ff-stress", [tmp_path / "Grains.csv"])
    assert lines == [
        f"# ff-stress, midas {__version__}",
        "# command: ff-stress . x",
        "# date: 1970-01-01T00:00:00Z",
        f"# input: {tmp_path / 'Grains.csv'} sha256 {hashlib.sha256(b'x').hexdigest()}",
    ]
