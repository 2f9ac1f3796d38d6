"""Packages whose names are imported when they are first used: a program's help must not wait for numpy."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def names_of(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """What a package calls `__getattr__` and `__dir__`.

    Parameters
    ----------
    package : its `__name__`
    homes : module in the package -> the names that it defines, with blanks between them

    Returns
    -------
    two functions: the attribute of a name, from its module, and the names of the package with these
    """
    home = {name: module for module, names in homes.items() for name in names.split()}

    def attribute(name: str) -> object:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(import_module(f"{package}.{home[name]}"), name)

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home})

    return attribute, names
