"""`python -m anyecg.human`: see `anyecg.cli.human`."""

import sys

from anyecg.cli.human import main

if __name__ == "__main__":
    sys.exit(main())
