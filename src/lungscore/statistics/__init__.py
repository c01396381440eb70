"""Figures with intervals: pure functions on arrays."""
