"""Measuring models on this machine: registry, loading, workloads, isolated cells, failures."""
