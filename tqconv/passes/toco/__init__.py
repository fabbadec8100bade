"""The passes that put a graph into the form in which TOCO left it."""
