"""What scripts/develop runs."""

import signal
import sys

if __name__ == "__main__":
    # Until the launcher listens for it, Ctrl-C has nothing to end in order and needs no traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .launcher import launch

    sys.exit(launch(sys.argv[1:]))
