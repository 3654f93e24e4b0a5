"""What trials wait for: the teacher, preparations, calibrations; found again by hash."""
