"""`python -m anyecg.export`: see `anyecg.cli.export`."""

import sys

from anyecg.cli.export import main

if __name__ == "__main__":
    sys.exit(main())
