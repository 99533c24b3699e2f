"""Two runs side by side: what moved, by how many ULPs, where first. Nothing is judged here."""
