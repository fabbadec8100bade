"""Passes that turn what a kernel does not take into operators that it takes."""
