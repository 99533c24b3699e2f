"""Long runs: every step certified as it happens and then let go, and a verdict on the whole trajectory."""
