"""Graphs become files, pictures and reports."""
