"""The commands of `maskcls synth`: generators of examples of rare classes."""
