"""The worker: runs in an interpreter of its own, with JAX; imports nothing of callsmith.

`python -I <this folder>` starts it. It speaks JSON lines: first a hello, then one answer per
request.
"""

from __future__ import annotations

PROTOCOL = 1
"""Version of the protocol. Both sides refuse another one."""
