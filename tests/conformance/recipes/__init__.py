"""Recipes of the public layers, a file for each folder of `tfmtl.layers`."""
