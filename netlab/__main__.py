"""`netlab`, and `python -m netlab`, which is the same."""

import signal
import sys


def main() -> int:
    """Run the command line. Ctrl-C while it is being imported ends it without Python's words."""
    listens = signal.getsignal(signal.SIGINT)
    if listens is signal.default_int_handler:  # else we were started to ignore it
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from netlab.cli.main import main as command

    signal.signal(signal.SIGINT, listens)
    return command()


if __name__ == "__main__":
    sys.exit(main())
