"""What a method is: its base class, its file of values, the registry that finds it."""
