"""A worker that reads nothing, for tests."""

import sys
import threading

# Until the pipe is closed from the other side, which ends it by a signal at the latest.
threading.Event().wait(30)
sys.exit(1)
