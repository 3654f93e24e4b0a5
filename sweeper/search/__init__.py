"""What a study tries next, and who goes on: pure functions of a log, no database."""
