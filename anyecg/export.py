"""`python -m anyecg.export`: see `anyecg.checkpoints.export`."""

import sys

from anyecg.checkpoints.export import main

if __name__ == "__main__":
    sys.exit(main())
