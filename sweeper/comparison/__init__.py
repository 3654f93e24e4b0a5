"""What finished searches and their confirmations say, as data frames."""
