"""``python -m barograph`` is the program ``barograph``."""

import os
import sys

from ._program import program

if __name__ == "__main__":
    os.execv(program(), ["barograph", *sys.argv[1:]])
