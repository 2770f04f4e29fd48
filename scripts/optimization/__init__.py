"""Experiments of the notes' chapter on optimization algorithms."""
