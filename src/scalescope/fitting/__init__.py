"""Estimation: laws to runs, with intervals."""
