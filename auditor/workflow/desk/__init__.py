"""The request desk: requests come in, are decided, and are answered."""
