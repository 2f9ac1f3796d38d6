"""One module per kind of file: columns, print formats, record sizes, and every path of a layer folder."""
