"""Optuna's tables, notes and pictures as a copy of the log, and its dashboard."""
