"""Driving a sweep or a confirmation from a terminal, from what was asked for to an exit code."""
