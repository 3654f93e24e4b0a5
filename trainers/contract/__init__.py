"""What every method must fulfil: checks that its writer can run, and a template."""
