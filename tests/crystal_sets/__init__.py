"""Samples that are hard to resolve into grains, with their truth, and a judge (docs/accuracy.md#one-crystal-one-grain).

Twins, sub-grains, crystals of one orientation, mosaic crystals, crowded samples, tables full of spurious spots: `sets`
says what there is, `grains` draws them, `listing` makes a table of spots of them without frames, `analysis` takes spots
or frames to grains, `scoring` compares.
"""
