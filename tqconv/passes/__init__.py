"""Rewrites of the graph: functions from a graph to the number of rewrites."""
