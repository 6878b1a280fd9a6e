"""`python -m parsenet` is the command `parsenet`."""

import sys

from parsenet.cli import main

if __name__ == "__main__":
    sys.exit(main())
