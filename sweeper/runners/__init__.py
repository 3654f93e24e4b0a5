"""Runners only run: they take segments from the state machine and bring outcomes back."""
