"""What every part may use: names, errors, settings, limits, provenance, constants."""
