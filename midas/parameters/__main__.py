"""``python -m midas.parameters`` prints docs/parameters.md."""

from midas.parameters.reference import reference

if __name__ == "__main__":
    print(reference(), end="")
