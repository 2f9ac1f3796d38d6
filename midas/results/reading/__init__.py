"""The results of a finished layer, from its folder or its HDF5 file, as arrays and objects."""

from midas.results.reading.grain import Grain
from midas.results.reading.results import Results, read_results

__all__ = ["Grain", "Results", "read_results"]
