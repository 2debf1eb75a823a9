"""What patients' data went into: models, banks, copies, and who may not go in again."""
