"""Writes down what a script computed, for the tests to compare: nothing at all when the script has no argument."""

import os
import sys

import numpy as np


def keep(which, it):
    if len(sys.argv) > 1:
        np.save(os.path.join(sys.argv[1], which), it)
