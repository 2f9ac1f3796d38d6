"""The compiled kernels: numbers and arrays in, numbers and arrays out."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

_HERE = Path(__file__).parent

if not any((_HERE / f"hkls{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
    # Python prefers a folder "midas" where it is started to the installed package.
    raise ImportError(
        f"{_HERE.parent} holds the sources of midas without their compiled kernels: run 'sh install.sh' there (or "
        "'make build'), or start from another folder to use an installed midas",
        name="midas._ext",
    )
