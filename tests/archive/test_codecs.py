"""A fixed list of codecs decodes archives, which come from outside: none runs code or makes more than a chunk holds."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import pickle
import struct
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from payload import Payload
from tiny_archive import frames_of, repacked

from midas.archive import DARK, DATA, MASK, Archive, set_dataset
from midas.archive.codecs import COMPRESSORS, FILTERS, TEXT_CODECS, check
from midas.parameters import ANALYSIS
from midas.runtime.errors import ArchiveError, MidasError

LSD, FOLDER = f"{ANALYSIS}Lsd", f"{ANALYSIS}ResultFolder"
Edit = Callable[[list[tuple[str, bytes]]], list[tuple[str, bytes]]]


def coded(path: str, shape: tuple[int, ...], dtype: str, chunk: bytes, **changes: Any) -> Edit:
    """Put an array of one chunk in the place of `path`."""
    document = {"zarr_format": 2, "shape": shape, "chunks": shape, "dtype": dtype, "compressor": None, "filters": None}
    document |= {"order": "C", "fill_value": None} | changes
    content = [(f"{path}/.zarray", json.dumps(document).encode()), (f"{path}/{'.'.join('0' * len(shape))}", chunk)]
    return lambda members: [*(m for m in members if not m[0].startswith(f"{path}/")), *content]


def read_all(path: Path) -> None:
    with Archive(path) as archive:
        archive.parameters  # noqa: B018
        for stack in (archive.frames, archive.dark, archive.mask):
            if stack is not None:
                stack[0]


# Code from data

PLACES = {
    "frames": (DATA, (1, 24, 30), "<u2"),
    "dark": (DARK, (1, 24, 30), "<u2"),
    "mask": (MASK, (1, 24, 30), "<u2"),
    "parameter": (LSD, (1,), "<f8"),
    "object frames": (DATA, (1, 24, 30), "|O"),
    "object parameter": (FOLDER, (1,), "|O"),
}
USES = {
    "compressor": {"compressor": {"id": "pickle"}},
    "filter": {"filters": [{"id": "pickle"}]},
    "filter of text": {"filters": [{"id": "vlen-utf8"}, {"id": "pickle"}]},
    "filter behind a compressor": {"filters": [{"id": "pickle"}], "compressor": {"id": "zlib", "level": 1}},
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("place", PLACES)
def test_a_pickle_is_never_opened(written, mark: Path, place: str, use: str) -> None:
    content = pickle.dumps(Payload(mark))
    content = zlib.compress(content) if "behind" in use else content
    path = repacked(written(frames_of()), coded(*PLACES[place], content, **USES[use]))
    with pytest.raises(ArchiveError) as caught:
        read_all(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: {PLACES[place][0]}/.zarray: ") and "'pickle'" in text
    assert "write this dataset again" in text and "\n" not in text
    assert not mark.exists()


def test_a_pickle_is_replaced_unread(written, mark: Path) -> None:
    path = repacked(written(frames_of()), coded(*PLACES["parameter"], pickle.dumps(Payload(mark)), **USES["filter"]))
    assert set_dataset(path, LSD, [5.0])
    assert not mark.exists()
    with Archive(path) as archive:
        assert archive.parameters["Lsd"] == 5


def test_metadata_of_a_group_are_not_read(written, mark: Path) -> None:
    """Only the documents of the arrays count, not the collection of them that Zarr can add."""
    document = {"zarr_format": 2, "shape": [1], "chunks": [1], "dtype": "|O", "fill_value": None, "order": "C"}
    document |= {"compressor": None, "filters": [{"id": "pickle"}]}
    collected = {"zarr_consolidated_format": 1, "metadata": {f"{LSD}/.zarray": document}}
    extra = [(".zmetadata", json.dumps(collected).encode()), (f"{LSD}/.zattrs", pickle.dumps(Payload(mark)))]
    path = repacked(written(frames_of()), lambda members: [*members, *extra])
    read_all(path)
    assert not mark.exists()


def test_codecs_that_others_registered_are_not_used(written, mark: Path) -> None:
    class Foreign(numcodecs.abc.Codec):
        codec_id = "foreign"

        def encode(self, buf: Any) -> Any:
            return buf

        def decode(self, buf: Any, out: Any = None) -> Any:
            mark.touch()
            return buf

    numcodecs.register_codec(Foreign)
    path = repacked(written(frames_of()), coded(LSD, (1,), "<f8", bytes(8), filters=[{"id": "foreign"}]))
    with pytest.raises(ArchiveError, match="'foreign'"):
        read_all(path)
    assert not mark.exists()


REFUSED = "msgpack2 json2 categorize vlen-array base64 packbits astype fixedscaleoffset crc32 pcodec zfpy".split()


@pytest.mark.parametrize("name", [*REFUSED, "Blosc", "", "pickle\nblosc", "x" * 5000, None, 5, ["blosc"], {}])
def test_any_other_codec_is_refused(written, name: object) -> None:
    for changes in ({"compressor": {"id": name}}, {"filters": [{"id": name}]}, {"filters": [{}]}):
        path = repacked(written(frames_of()), coded(LSD, (1,), "<f8", bytes(8), **changes))
        with pytest.raises(ArchiveError) as caught:
            read_all(path)
        assert str(caught.value).startswith(f"{path}: {LSD}/.zarray: cannot be read (names the codec ")
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500 + len(str(path))


@pytest.mark.parametrize(
    ("steps", "text", "reason"),
    [
        ([], True, "none of the codecs of text"),
        (["zlib"], True, "none of the codecs of text"),
        (["vlen-utf8", "zlib"], True, "none of the codecs of text"),
        (["vlen-utf8", "vlen-utf8"], True, "where bytes are expected"),
        (["vlen-utf8"], False, "where bytes are expected"),  # the addresses of the texts would become numbers
        (["zlib", "vlen-bytes"], False, "where bytes are expected"),
    ],
)
def test_text_is_where_objects_are(steps: list[str], text: bool, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check([{"id": name} for name in steps], text)


@pytest.mark.parametrize(
    "dtype",
    [
        "2)",
        "(2,3",
        "i4,i4",
        "O,i4",
        "<i4\n",
        "object",
        "a5",
        "nonsense",
        "|S0",
        "<M8[s]",
        "1" * 5000,
        ["a"],
        [["a", "O"]],
    ],
    ids=lambda d: str(d)[:8],
)
def test_types_are_single_words(written, dtype: object) -> None:
    """NumPy evaluates parts of what looks like a compound type."""
    with pytest.raises(ArchiveError, match=r"Lsd/\.zarray: cannot be read"):
        read_all(repacked(written(frames_of()), coded(LSD, (1,), dtype, bytes(8))))  # type: ignore[arg-type]
    with pytest.raises(ArchiveError, match="delta filter"):
        changes = {"filters": [{"id": "delta", "dtype": "<i4", "astype": dtype}]}
        read_all(repacked(written(frames_of()), coded(LSD, (1,), "<f8", bytes(8), **changes)))


@pytest.mark.parametrize(
    "settings",
    [{"id": "shuffle", "elementsize": n} for n in (0, -4, 1 << 40, 1.5, "4", None)]
    + [{"id": "delta"}, {"id": "delta", "dtype": "|O"}, {"id": "delta", "dtype": "|S4"}, {"id": "delta", "dtype": 4}],
    ids=str,
)
def test_filters_that_no_numbers_have(settings: dict) -> None:
    with pytest.raises(ValueError, match=f"{settings['id']} filter"):
        check([settings], False)


def test_documents_that_are_nested_too_deeply(written) -> None:
    deep = b'{"zarr_format": ' + b"[" * 200_000
    path = repacked(written(frames_of()), lambda ms: [(n, deep if n == f"{LSD}/.zarray" else c) for n, c in ms])
    with pytest.raises(ArchiveError, match="nested too deeply"):
        read_all(path)


# What is read

NUMBERS = np.arange(-300, 420, dtype="<i4").reshape(1, 24, 30)
CODERS = {
    "blosc": numcodecs.Blosc("zlib", 3, 1),
    "bz2": numcodecs.BZ2(1),
    "gzip": numcodecs.GZip(1),
    "lz4": numcodecs.LZ4(),
    "lzma": numcodecs.LZMA(preset=1),
    "zlib": numcodecs.Zlib(1),
    "zstd": numcodecs.Zstd(1),
    "delta": numcodecs.Delta("<i4", "<i8"),
    "shuffle": numcodecs.Shuffle(4),
}
CHAINS = [*([name] for name in CODERS), ["delta", "shuffle", "zstd"], ["blosc", "zlib"], ["shuffle", "lz4", "gzip"]]


@pytest.mark.parametrize("chain", CHAINS, ids="-".join)
@pytest.mark.parametrize("as_filters", [False, True])
def test_numbers(written, monkeypatch: pytest.MonkeyPatch, chain: list[str], as_filters: bool) -> None:
    content: Any = NUMBERS.ravel()
    for name in chain:
        content = CODERS[name].encode(content)
    steps = [CODERS[name].get_config() for name in chain]
    changes = {"filters": steps} if as_filters else {"filters": steps[:-1] or None, "compressor": steps[-1]}
    path = repacked(written(NUMBERS), coded(DATA, NUMBERS.shape, "<i4", bytes(content), **changes))
    monkeypatch.setattr("numcodecs.registry.codec_registry", {})  # nobody asks it
    with Archive(path) as archive:
        np.testing.assert_array_equal(archive.frames[0], NUMBERS[0])


def test_every_codec_of_the_list_is_tested() -> None:
    assert {*COMPRESSORS, *FILTERS} == CODERS.keys() and set(TEXT_CODECS) == {"vlen-bytes", "vlen-utf8"}


@pytest.mark.parametrize("compressor", [None, *(CODERS[name] for name in COMPRESSORS)], ids=str)
@pytest.mark.parametrize("name", TEXT_CODECS)
def test_text(written, name: str, compressor: Any) -> None:
    folder = "/data/Größe 日本/" * 40
    values = np.array([folder if name == "vlen-utf8" else folder.encode()], object)
    content = (numcodecs.VLenUTF8() if name == "vlen-utf8" else numcodecs.VLenBytes()).encode(values)
    content = compressor.encode(content) if compressor else content
    changes = {"filters": [{"id": name}], "compressor": compressor and compressor.get_config()}
    path = repacked(written(frames_of()), coded(FOLDER, (1,), "|O", bytes(content), **changes))
    with Archive(path) as archive:
        assert archive.parameters["ResultFolder"] == folder


# Sizes

BOMB = bytes(64 << 20)
FRAME = 24 * 30 * 2
COUNT = struct.pack("<I", (1 << 31) - 1)
OVERFLOWING = {
    "blosc": lambda: bytes(numcodecs.Blosc().encode(BOMB)),
    "bz2": lambda: bz2.compress(BOMB, 1),
    "gzip": lambda: gzip.compress(BOMB, 1),
    "gzip twice": lambda: gzip.compress(bytes(FRAME)) + gzip.compress(BOMB, 1),
    "lz4": lambda: bytes(numcodecs.LZ4().encode(BOMB)),
    "lzma": lambda: lzma.compress(BOMB, preset=0),
    "zlib": lambda: zlib.compress(BOMB, 1),
    "zstd": lambda: bytes(numcodecs.Zstd(1).encode(BOMB)),
    "zstd twice": lambda: bytes(numcodecs.Zstd(1).encode(bytes(FRAME))) + bytes(numcodecs.Zstd(1).encode(BOMB)),
    "zstd of 1 TiB": lambda: b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 40) + bytes(9),
    "zstd of no size": lambda: b"\x28\xb5\x2f\xfd\x00\x58" + bytes(9),
    "lz4 of 2 GiB": lambda: COUNT + bytes(9),
}


def peak_of(read: Callable[[], object]) -> int:
    """Bytes that the call had at once at most; it must end in an error about a chunk."""
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match=r"cannot be decoded|where at most \d+ can be of use"):
            read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("as_filter", [False, True])
@pytest.mark.parametrize("kind", OVERFLOWING)
def test_a_chunk_is_not_larger_than_it_can_be(written, kind: str, as_filter: bool) -> None:
    step = {"id": kind.split()[0]}
    changes = {"filters": [step]} if as_filter else {"compressor": step}
    path = repacked(written(frames_of()), coded(DATA, (1, 24, 30), "<u2", OVERFLOWING[kind](), **changes))
    assert peak_of(lambda: read_all(path)) < 16 << 20


@pytest.mark.parametrize("chunk", [b"", b"\1", COUNT, COUNT + bytes(40), struct.pack("<I", 2) + bytes(8), bytes(4)])
@pytest.mark.parametrize("name", TEXT_CODECS)
def test_the_number_of_texts_is_checked_first(written, name: str, chunk: bytes) -> None:
    path = repacked(written(frames_of()), coded(FOLDER, (1,), "|O", chunk, filters=[{"id": name}]))
    assert peak_of(lambda: read_all(path)) < 16 << 20


@pytest.mark.parametrize("name", [n for n in CODERS if n not in FILTERS])
def test_a_chunk_that_ends_early(written, name: str) -> None:
    content = bytes(CODERS[name].encode(NUMBERS))
    for length in (0, 1, 3, 5, len(content) // 2, len(content) - 1):
        chunk = coded(DATA, NUMBERS.shape, "<i4", content[:length], compressor={"id": name})
        with pytest.raises(ArchiveError, match=r"exchange/data/0\.0\.0: cannot be decoded"):
            read_all(repacked(written(NUMBERS), chunk))


JUNK = st.none() | st.booleans() | st.integers(-3, 300) | st.just(1 << 40) | st.text(max_size=4)
STEP = st.fixed_dictionaries(
    {"id": st.sampled_from([*COMPRESSORS, *FILTERS, *TEXT_CODECS])},
    optional={
        name: JUNK | st.sampled_from(["<i4", "<f8", "|u1", "|O", "|S4"])
        for name in ("dtype", "astype", "elementsize", "format", "filters", "level", "cname", "encoding")
    },
)


@settings(max_examples=300, deadline=None)
@given(
    compressor=st.none() | STEP,
    filters=st.none() | st.lists(STEP, max_size=3),
    dtype=st.sampled_from(["<u2", "<f8", "|O", "|S3", "<U2", "|b1"]),
    chunk=st.binary(max_size=60) | st.sampled_from([bytes(CODERS[n].encode(NUMBERS)) for n in COMPRESSORS]),
)
def test_no_settings_are_more_than_an_error_message(
    tmp_path_factory: pytest.TempPathFactory, compressor: Any, filters: Any, dtype: str, chunk: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "settings.zip"
    with zipfile.ZipFile(path, "w") as output:
        for name, content in coded(DATA, (1, 2, 3), dtype, chunk, compressor=compressor, filters=filters)([]):
            output.writestr(name, content)
    with Archive(path) as archive:
        try:
            values = archive.dataset(DATA).read()
        except MidasError:
            return
        assert values.shape == (1, 2, 3)
