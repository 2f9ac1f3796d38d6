"""Archives to take apart and put together again, independent of the product's own reader and writer."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numcodecs
from numpy.typing import NDArray

from midas.archive import Archive
from midas.parameters import ANALYSIS, SCAN

Members = dict[str, bytes]


class Contents:
    """The members of an archive, to change at will."""

    def __init__(self, path: Path, members: Members | None = None):
        """`members`: what is in the archive, where it has been read before."""
        self.path = path
        if members is not None:
            self.members = dict(members)
            return
        with zipfile.ZipFile(path) as archive:
            self.members = {name: archive.read(name) for name in archive.namelist()}

    def save(self) -> None:
        with zipfile.ZipFile(self.path, "w") as archive:
            for name, content in self.members.items():
                archive.writestr(name, content)

    def full_name(self, key: str) -> str:
        """Path of the dataset of that name."""
        for path in (key, ANALYSIS + key, SCAN + key):
            if f"{path}/.zarray" in self.members:
                return path
        raise KeyError(key)

    def parameters(self) -> list[str]:
        names = [name.removesuffix("/.zarray") for name in self.members if name.endswith("/.zarray")]
        return [name for name in names if name.startswith((ANALYSIS, SCAN))]

    def remove(self, key: str) -> None:
        path = self.full_name(key)
        self.members = {name: content for name, content in self.members.items() if not name.startswith(f"{path}/")}

    def value(self, key: str) -> NDArray[Any]:
        with Archive(self.path) as archive:
            dataset = archive.dataset(self.full_name(key))
            assert dataset is not None
            return dataset.read()

    def set(self, path: str, values: NDArray[Any], **changes: Any) -> None:
        """Replace a small array by one without compression, with `changes` in its description."""
        self.members = {name: content for name, content in self.members.items() if not name.startswith(f"{path}/")}
        content = values.tobytes()
        filters = None
        if values.dtype.kind == "O":
            codec = numcodecs.VLenUTF8()
            content, filters = bytes(codec.encode(values)), [codec.get_config()]
        self.describe(
            path,
            zarr_format=2, shape=values.shape, chunks=[max(n, 1) for n in values.shape],
            dtype="|O" if values.dtype.kind == "O" else values.dtype.str, compressor=None, filters=filters,
            fill_value=None, order="C", **changes,
        )  # fmt: skip
        self.members[f"{path}/{'.'.join('0' * values.ndim) or '0'}"] = content

    def describe(self, path: str, **changes: Any) -> None:
        """Change entries of a ``.zarray``."""
        name = f"{path}/.zarray"
        self.members[name] = json.dumps({**json.loads(self.members.get(name, b"{}")), **changes}).encode()
