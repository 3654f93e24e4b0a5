"""The state machine of a sweep: what is trained next, and what an outcome means."""
