"""What to do about a finding, by its kind."""

from __future__ import annotations

from backproof.evidence import Json

BY_KIND = {
    "equation": "Look at the line that computes {q} in {by}. Its operands are recorded and judged by equations of "
    "their own, so the mistake is in this one operation; what is computed from {q} inherits it and needs no change.",
    "suspect": "Rounding is not ruled out and not proved. Run again with another --seed or more --samples: a mistake "
    "stays where it is, rounding moves.",
    "agreement": "Its own equations hold. Look at what they do not see: other data, other parameters, another network "
    "than the one that was specified.",
    "missing": "Let the implementation {by} record {q}; without it nothing that depends on it can be judged.",
    "surplus": "Let {by} yield one step for each batch that it is given, and no more.",
    "unexpected": "Remove {q} from what {by} records, or add it to the network's specification.",
    "shape": "Bring {q} into the recording's form: features × samples, W out × in, b out × 1.",
    "dtype": "Let {by} compute and record {q} in the run's own format.",
    "non-finite": "Find where {q} becomes infinite or NaN in {by}: an overflow, a logarithm of 0, a division by 0.",
    "continuity": "Let each step of {by} begin with exactly the parameters that the step before it left.",
    "samples": "Let {by} use the samples that each batch names, in that order.",
    "coverage": "Nothing was compared, and that is no pass: see what is missing first.",
}


def of(finding: Json, by: str) -> str:
    """One or two sentences of plain text.

    Raises:
        KeyError: for a finding without kind, verdict or quantity.
    """
    kind = "suspect" if (finding["kind"], finding["verdict"]) == ("equation", "suspect") else finding["kind"]
    return BY_KIND.get(kind, BY_KIND["equation"]).format(q=finding["quantity"], by=by)
