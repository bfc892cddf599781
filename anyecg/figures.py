"""`python -m anyecg.figures`: see `anyecg.cli.figures`."""

import sys

from anyecg.cli.figures import main

if __name__ == "__main__":
    sys.exit(main())
