"""Pure parts of generators: their training watch, tables of samples, statistics of the verdict."""
