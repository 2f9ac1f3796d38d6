"""The stages, in the order of the data; each is one function, `run`."""
