"""Tell the kernel how a service wants to share the processors."""

import contextlib
import os


def prefer_throughput() -> None:
    """Let this process's threads finish what they do before another of them is woken in between.

    gRPC wakes the event loop's thread from its own for every step of every call. Under the default
    policy Linux switches between the two each time; under SCHED_BATCH the events of several calls
    are taken in one go, and a loaded service uses a tenth to a fifth less CPU. An idle processor is
    given at once under either. It needs no privilege; where the kernel has no such policy, or a
    sandbox forbids the choice, nothing is lost but that.
    """
    if hasattr(os, "SCHED_BATCH"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
