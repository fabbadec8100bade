"""The only place that runs models."""
