"""Which configurations are trained again, with fresh seeds and at equal cost."""
