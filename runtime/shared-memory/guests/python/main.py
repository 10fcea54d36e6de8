"""Started by the agent: `python3 -u main.py`, with the ring and the doorbell as inherited file descriptors."""

import os
import sys

from dunlin_guest.memory import AgentGone
from dunlin_guest.worker import serve

if __name__ == "__main__":
    try:
        code = serve(os.environ)
    except AgentGone:
        os._exit(1)
    sys.exit(code)
