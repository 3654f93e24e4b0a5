"""Training students: cohorts, members, checkpoints, evaluation, teachers."""
