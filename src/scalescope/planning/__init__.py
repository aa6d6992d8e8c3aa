"""Forecasts, allocation, diagnosis."""
