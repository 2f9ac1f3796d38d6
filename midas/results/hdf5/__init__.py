"""HDF5 as it is written here: complete files, and many small objects at once (docs/formats.md#consolidated-file)."""
