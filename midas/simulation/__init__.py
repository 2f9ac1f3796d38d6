"""Forward simulation: grains to spots, spots to frames; synthetic samples with known truth."""

from midas.simulation.scan import run

__all__ = ["run"]
