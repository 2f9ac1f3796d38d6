"""``python -m midas.parameters`` prints docs/parameters.md."""

from midas.parameters.reference import reference

print(reference(), end="")
