"""Priority of threads where there are more of them than cores."""

import os
import sys
import threading


def lower_thread_priority(by: int) -> None:
    """Let other threads go before this one and those that it starts from now on, where the system can.

    Args:
        by: added to the niceness, which ends at 19. Not to be taken back without privileges.
    """
    if sys.platform == "linux":  # where a thread has a priority of its own
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, min(os.getpriority(os.PRIO_PROCESS, thread) + by, 19))
