"""What a sweep costs and what it can show, before it is paid for."""
