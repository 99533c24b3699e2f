"""Is it rounding, or is it a bug? Cross-framework verification of neural-network training, layer by layer."""

__version__ = "0.1.0"
