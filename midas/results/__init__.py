"""What becomes of a finished layer: consolidated HDF5, provenance, report, comparison with the truth."""
