"""The from-scratch NumPy network, the notes' derivations, and the gradient check."""
