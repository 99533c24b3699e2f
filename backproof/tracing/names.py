"""What the names in people's scripts mean: data, and the function that reads a name by it.

A name is compared without case and underscores: ``dW_1``, ``dw1`` and ``DW1`` are one. A number in it is a layer's, as
are the words for the hidden and the output layer. Numbers are the script's own here (``syn0``, ``a1`` for the inputs);
:mod:`backproof.tracing.layers` turns them into layers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

OUT = 10**6
"""The number of "the output layer" in a name that carries no number of its own."""
FORWARD = frozenset({"Z", "A"})
GRADIENTS = frozenset({"dA", "dZ", "dH", "dW", "db", "out_grad", "in_grad"})
PARAMETERS = frozenset({"W", "b"})
SCALARS = frozenset({"loss", "learning_rate"})
NUMBERS = SCALARS | {"b", "db", "Y"}
"""Kinds that may be a plain number: ``db = np.sum(dZ)`` is one, and the label of a single sample."""
CANONICAL = re.compile(r"(?P<kind>X|Y|loss|learning_rate)|(?P<layered>W|b|Z|A|dA|dZ|dW|db)(?P<number>[1-9]\d*)?")


@dataclass(frozen=True)
class Meaning:
    """A kind of quantity, and the layer number that the name carries, if it does.

    Kinds beside the canonical ones: ``dH`` is the error of a layer before or after the activation's derivative; ``in``,
    ``out_grad`` and ``in_grad`` belong to the layer object that holds them; ``state`` is what an optimizer keeps.
    """

    kind: str
    number: int | None = None


_HIDDEN = "inputtohidden|inputhidden|hiddenlayer|hidden|hid|ih|xh|i2h|in|h"
_OUTPUT = "hiddentooutput|hiddenoutput|hiddenout|outputlayer|finallayer|output|final|last|out|ho|hy|h2o|o"
_AT = rf"(?:(?:layer|l)?(?P<number>\d+)|(?P<hidden>{_HIDDEN})(?P<which>\d*)|(?P<output>{_OUTPUT})|)"
_OF = rf"(?:(?:layer|l|fc|dense|hiddenlayer|hidden|h)(?P<number>\d+)|(?P<hidden>{_HIDDEN})|(?P<output>{_OUTPUT}))"
_D = "(?:deltanabla|nabla|gradients?|grads?|gradof|dlossd?|dcostd?|d[ljce]d|del|d|g)"
_GRAD = "(?:gradients?|grads?)"
_W = "(?:weights?|kernel|thetas?|synapses?|syn|ws|w)"
_B = "(?:biases|bias|bs|b)"
_Z = "(?:preactivations?|preacts?|linear|weightedsums?|zs|z|nets?)"
_A = "(?:activations?|activated|acts?|as|a|hs)"
_P = "(?:yhats?|ypreds?|yprobs?|probs?|probas|probabilities|preds?|predictions?|predicted|predictedoutput|p|ps)"
_SCORES = "(?:scores?|logits?)"
_SET = "(?:train|training|minibatch|batch|mini|mb|tr|b|i)"
_HOT = "(?:onehotencoded|onehot|encoded|enc|hot|oh)"

# (kind, number of a name that carries none, what such names look like); the first that fits is taken.
PATTERNS: tuple[tuple[str, int | None, tuple[str, ...]], ...] = (
    ("learning_rate", None, ("learningrate|learnrate|lrate|lr|alpha|eta|stepsize|epsilon",)),
    (
        "loss",
        None,
        ("(?:train|training|batch|data|current|ce|mse|bce|crossentropy)?(?:loss|cost)(?:value|val)?|j|mse",),
    ),
    (
        "state",
        None,
        (
            rf"(?:velocity|vel|momentum|mom|moment|rms|adam){_W}\d*",
            rf"{_W}(?:momentums?|cache)\d*",
            r"[vms]d?(?:weights?|ws?)\d*|[vms]db\d*|[vms]b\d+|velocity\d*|velocities|momentum",
        ),
    ),
    ("W", None, (f"{_W}{_AT}", f"{_OF}{_W}")),
    ("b", None, (f"{_B}{_AT}", f"{_OF}{_B}")),
    ("dW", None, (f"{_D}{_W}{_AT}", f"{_D}{_OF}{_W}", f"{_W}{_AT}{_GRAD}", f"{_OF}{_W}{_GRAD}")),
    ("db", None, (f"{_D}{_B}{_AT}", f"{_D}{_OF}{_B}", f"{_B}{_AT}{_GRAD}", f"{_OF}{_B}{_GRAD}")),
    ("in", None, ("aprev|prevactivation|layerinput|ain|preva",)),
    (
        "X",
        None,
        (
            f"x{_SET}?|{_SET}x|xs|inputs?|inputdata|inputlayer|inputbatch|batchinputs?|{_SET}?images?|imgs?",
            f"features|samples?|pixels|data|{_SET}data|xflat|x{_SET}flat|x{_SET}flatten",
        ),
    ),
    (
        "Y",
        None,
        (
            f"[yt]{_SET}?|{_SET}[yt]|ys|yt|ytrue|{_SET}?labels?|{_SET}?targets?|groundtruth|expected|desired",
            f"expectedoutputs?|ylabels?|{_HOT}|{_HOT}y{_SET}?|{_HOT}{_SET}?(?:labels?|targets?)",
            f"(?:y{_SET}?|{_SET}?labels?|targets?){_HOT}",
        ),
    ),
    ("Z", None, (f"{_Z}{_AT}", rf"{_OF}(?:inputs?|in|{_Z})\d?", "layerz")),
    ("Z", OUT, (_SCORES,)),
    (
        "A",
        None,
        (
            f"{_A}{_AT}",
            f"{_OF}(?:outputs?|out|{_A})",
            "layer(?:outputs?|a|acts?|activations?)",
            r"(?:h|layer|l|output|out|o)(?P<number>\d+)",
            r"(?P<hidden>hiddenlayer|hidden|h)(?P<which>\d*)",
        ),
    ),
    ("A", OUT, (f"{_P}|outputs?|out|o|outputlayer|softmaxoutput",)),
    ("dZ", None, (f"{_D}{_Z}{_AT}", f"deltas?{_AT}", f"{_OF}deltas?", r"d(?P<number>\d+)", f"{_Z}{_AT}{_GRAD}")),
    ("dZ", OUT, (f"{_D}{_SCORES}",)),
    (
        "out_grad",
        None,
        ("dvalues?|outputgradients?|outputgrads?|gradoutputs?|gradout|dout|upstream|dy|grad",),
    ),
    ("in_grad", None, ("dinputs?|inputgradients?|inputgrads?|gradinputs?|inputerror|dx|daprev|gradin",)),
    ("dA", None, (f"{_D}{_A}{_AT}", f"{_A}{_AT}{_GRAD}")),
    ("dA", OUT, (f"{_D}{_P}",)),
    (
        "dH",
        None,
        (f"{_D}{_OF}", rf"{_D}(?:h|l|layer|output|out|o)(?P<number>\d+)", f"{_OF}errors?", f"errors?(?:at)?{_AT}"),
    ),
)
_COMPILED = tuple((kind, number, re.compile(form)) for kind, number, forms in PATTERNS for form in forms)
_STATES = re.compile(
    "[vmsh]|velocit(?:y|ies)|vel|momentums?|mom|(?:first|second)?moments?[12]?|adam[vms]?|rms(?:prop)?|[vms](?:t|adam)"
    "|opt(?:im(?:i[sz]er)?)?(?:states?)?|states?|accum(?:ulator)?s?|(?:grad)?(?:sq|squares?|squared)|expavg(?:sq)?"
)
_GRADIENTS = re.compile("(?:param|weight|layer)?(?:gradients?|grads?|derivatives?|derivs?)|nablas?|changew?|dparams?|d")
_PARAMETERS = re.compile("param(?:eter)?s?|layers?|network|net|model|weights?")
_LAST = re.compile(r"(d?[WbZA])_?L")


def parse(name: str) -> Meaning | None:
    """What a bare name means, or None: ``dW2`` is ``Meaning("dW", 2)``, ``y_hat`` is ``Meaning("A", OUT)``."""
    return _parse(name.strip("_"))


@lru_cache(maxsize=4096)
def _parse(name: str) -> Meaning | None:
    if last := _LAST.fullmatch(name):
        return Meaning(last[1], OUT)
    compact = re.sub(r"[\W_]+", "", name).lower()
    for kind, number, form in _COMPILED:
        if found := form.fullmatch(compact):
            return Meaning(kind, _number(found.groupdict(), number))
    return None


def inside(container: str, meaning: Meaning) -> Meaning:
    """What an entry means by the name of the dict that holds it: ``grads["W1"]`` is dW1, ``v["W1"]`` an optimizer's."""
    compact = re.sub(r"[\W_]+", "", container).lower()
    if _STATES.fullmatch(compact) and meaning.kind in ("W", "b", "dW", "db"):
        return Meaning("state", meaning.number)
    if _GRADIENTS.fullmatch(compact) and meaning.kind in ("W", "b", "Z", "A"):
        return Meaning(f"d{meaning.kind}", meaning.number)
    return meaning


def pair(name: str) -> tuple[str, str] | None:
    """What the pairs in a list mean by the list's name: weight and bias, their gradients, or nothing known."""
    compact = re.sub(r"[\W_]+", "", name).lower()
    if _GRADIENTS.fullmatch(compact):
        return ("dW", "db")
    return ("W", "b") if _PARAMETERS.fullmatch(compact) else None


def _number(groups: dict[str, str | None], otherwise: int | None) -> int | None:
    if digits := groups.get("number"):
        return int(digits)
    if groups.get("hidden"):
        return int(groups.get("which") or 1)
    return OUT if groups.get("output") else otherwise


def canonical(key: str) -> Meaning | None:
    """What a key of ``check_backprop`` means (``X``, ``dW1``, ``learning_rate``), or None if it is none.

    Without a number (``A``) it belongs to the layer of the object or the call that has the name.
    """
    if found := CANONICAL.fullmatch(key):
        number = found["number"]
        return Meaning(found["kind"] or found["layered"], int(number) if number else None)
    return None
