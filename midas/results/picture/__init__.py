"""The results of a layer in one picture, for logs and terminals, drawn without a browser.

See docs/theory/evidence.md#the-picture.
"""

from midas.results.picture.summary import summary_picture, write_picture

__all__ = ["summary_picture", "write_picture"]
