"""The results of a layer in one picture, for logs and terminals, drawn without a browser."""

from midas.results.picture.summary import summary_picture

__all__ = ["summary_picture"]
