"""What the search leaves (docs/theory/indexing.md#results)."""

from __future__ import annotations

from midas._ext.index.record import INDEXED_SEED
from midas.formats.index import BEST


def test_the_file_holds_what_the_kernel_finds() -> None:
    assert INDEXED_SEED.names == BEST.names
    assert INDEXED_SEED.itemsize == BEST.itemsize == 120
    for name in BEST.names or ():
        assert INDEXED_SEED[name].shape == BEST[name].shape
        assert INDEXED_SEED.fields[name][1] == BEST.fields[name][1]
