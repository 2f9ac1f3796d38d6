"""What data and results say about mistakes: of the parameter file, of the geometry, of the scan."""
