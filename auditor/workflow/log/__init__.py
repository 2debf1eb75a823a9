"""The ledger as outsiders see it: checkpoints, witnesses, time stamps, names, recovery."""
