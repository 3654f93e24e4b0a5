"""What is asked of every method: checks that its writer can run, and that read like a review."""
