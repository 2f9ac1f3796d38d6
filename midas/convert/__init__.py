"""Raw detector files to a ``.MIDAS.zip``: one reader per format behind `midas.convert.source.FrameSource`."""
