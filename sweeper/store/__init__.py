"""The log of every sweep in PostgreSQL: its tables, revisions, views and queries."""
