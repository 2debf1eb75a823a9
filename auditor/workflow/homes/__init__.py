"""A hospital's home: settings, keys, the books of cases and models, one process at a time."""
