"""The gate: what a run used of its budgets, held against what an earlier run used of them. See ``docs/gate.md``."""
