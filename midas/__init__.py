"""Far-field high-energy X-ray diffraction microscopy: raw detector frames in, grain maps out."""

from midas._version import __version__

__all__ = ["__version__"]
