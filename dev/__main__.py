"""Entry point of scripts/develop."""

import signal
import sys

if __name__ == "__main__":
    # Until the launcher handles signals, Ctrl-C exits at once, without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .launcher import launch

    sys.exit(launch(sys.argv[1:]))
