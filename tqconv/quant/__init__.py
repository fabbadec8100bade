"""Evidence about ranges, a plan of parameters, and its application."""
