"""`python -m netlab` is `netlab`."""

import sys

from netlab.cli.main import main

sys.exit(main())
