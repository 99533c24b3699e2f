"""Runs somebody's training script unchanged and picks up the arrays of its steps by the names that people use."""
