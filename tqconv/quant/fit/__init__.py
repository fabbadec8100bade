"""Integers of weights and biases that are fitted to samples."""
