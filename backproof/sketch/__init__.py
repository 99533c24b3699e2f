"""The sketch: Freivalds' check of every product of a step, at a fraction of what the step itself cost."""

from backproof.sketch.screen import Screen

__all__ = ["Screen"]
