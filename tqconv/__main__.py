"""`python -m tqconv`."""

import sys

from tqconv.cli.main import main

sys.exit(main())
