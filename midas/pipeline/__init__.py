"""The driver: layers times stages in one process."""
