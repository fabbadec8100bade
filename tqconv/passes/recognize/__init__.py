"""Passes that see what several operators spell out, and put the operator that computes it."""
