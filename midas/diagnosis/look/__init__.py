"""A first look at the data, before anything is analysed: ``ff-look`` (docs/theory/diagnosis.md#a-first-look)."""
