"""Is it rounding, or is it a bug? Cross-framework verification of neural-network training, layer by layer."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backproof.backprop import BackpropResult as BackpropResult
    from backproof.backprop import check_backprop as check_backprop

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    # Imported when it is asked for: `backproof --help` imports no NumPy.
    if name in ("check_backprop", "BackpropResult"):
        from backproof import backprop

        return getattr(backprop, name)
    raise AttributeError(f"module 'backproof' has no attribute {name!r}")
