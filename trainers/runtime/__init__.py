"""What a process trains with, whatever it trains: devices, numerics, memory, timing, logs."""
