"""A worker that says what is no message, for tests."""

import os
import sys

os.write(sys.stdout.fileno(), b"\x00\x00\x00\x03xyz")
sys.stdin.buffer.read()
