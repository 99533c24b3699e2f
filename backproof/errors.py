"""The one exception that means "the input cannot be judged" (exit code 2 on the command line)."""


class BackproofError(Exception):
    """Unusable input: one line that says what is wrong, where, and what to do.

    A *finding* (a bug, a suspect) is never an exception: it is a result, and exits 1.
    """
