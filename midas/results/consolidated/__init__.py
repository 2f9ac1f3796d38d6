"""The consolidated HDF5 file: every result of a layer in one place (docs/formats.md#consolidated-file)."""

from midas.results.consolidated.layer_file import write

__all__ = ["write"]
