"""A process that slept past the end of its lease serves nothing expired when it wakes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading

SCRIPT = textwrap.dedent(
    """
    import sys
    from datetime import datetime, timedelta, timezone
    from secretkit.broker.clock import SystemClock
    from secretkit.core.freshness import LeasePolicy
    sys.path.insert(0, "tests")
    from broker.world import World

    world = World(system_clock=SystemClock(), policy=LeasePolicy(ttl=timedelta(seconds=1)))
    lease = world.broker.lease("claude")
    world.source.value = "key-2"
    print("held", lease.expires_at.timestamp(), flush=True)
    sys.stdin.readline()
    now = datetime.now(timezone.utc)
    lease = world.broker.lease("claude")
    print("woke", lease.credential.secret.reveal(), lease.expires_at > now, flush=True)
    world.broker.close()
    """
)


def test_a_lease_that_ended_while_the_process_was_stopped_is_not_served():
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout.readline().startswith("held")
        os.kill(child.pid, signal.SIGSTOP)
        threading.Event().wait(1.3)  # longer than the lease
        os.kill(child.pid, signal.SIGCONT)
        out, _ = child.communicate("\n", timeout=20)
    finally:
        child.kill()
        child.wait()
    assert out.split() == ["woke", "key-2", "True"]
