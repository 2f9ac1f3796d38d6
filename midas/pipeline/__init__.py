"""The driver: layers times stages in one process."""

from midas.pipeline.layers import FinishedLayer, Options, run

__all__ = ["FinishedLayer", "Options", "run"]
