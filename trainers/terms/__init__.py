"""Losses and parts that several methods share."""
