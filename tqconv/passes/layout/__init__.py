"""Permutations of dimensions: sunk, cancelled, and left where they cost least."""
