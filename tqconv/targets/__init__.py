"""What runs a model: which operators it takes, with which element types and ranks."""
