"""What numbers of trained seeds say: pure functions of arrays, without a store or a table."""
