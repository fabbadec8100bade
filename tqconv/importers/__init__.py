"""Model files of each format become graphs."""
