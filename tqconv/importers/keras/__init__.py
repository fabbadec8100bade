"""Keras models: HDF5 files and .keras archives, of every version."""
