"""PostgreSQL, with nothing of ours in it: the embedded server, URLs, connections, locks."""
