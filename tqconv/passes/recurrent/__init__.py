"""Passes that turn recurrent layers, written as loops or steps, into operators for sequences."""
