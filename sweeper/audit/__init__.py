"""Whether a sweep's comparison is fair: every rule that the store can tell, checked from it."""
