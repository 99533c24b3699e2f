"""Checks the arrays of one training step, whoever made them: :func:`check_backprop`."""

from backproof.backprop.check import check_backprop
from backproof.backprop.result import BackpropResult, Coverage, Failure

__all__ = ["BackpropResult", "Coverage", "Failure", "check_backprop"]
