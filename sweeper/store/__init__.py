"""The log of every sweep in PostgreSQL: the embedded server, the connection, the schema."""
