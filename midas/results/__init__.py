"""What becomes of a finished layer: HDF5, reading it back, report, stress, tracking, comparison, exports."""
