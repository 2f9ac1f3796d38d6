"""Images of powders with known truth, and how far a fitted geometry is from it (docs/theory/calibration.md).

`sets` says what there is, in full size and small; `recipe` makes images of it, by formulas of its own; `scoring`
compares.
"""
