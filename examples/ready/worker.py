"""Takes jobs from the spool, and notifies its supervisor that it is ready and alive (sd_notify(3))."""

import os
import signal
import socket
import time
from pathlib import Path

SPOOL = Path("spool")


def notify(message):
    address = os.environ.get("NOTIFY_SOCKET")
    if address is None:
        return  # started by hand
    if address.startswith("@"):
        address = "\0" + address[1:]  # an abstract socket, which is no file (unix(7))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as supervisor:
        supervisor.sendto(message.encode(), address)


def take_job():
    """The name of the next job, or None. To remove a file is to have it: of two workers, one succeeds."""
    for waiting in sorted(SPOOL.iterdir()):
        try:
            waiting.unlink()
        except FileNotFoundError:
            continue
        return waiting.name
    return None


def leave(_signal, _frame):
    global is_leaving
    is_leaving = True


is_leaving = False
signal.signal(signal.SIGTERM, leave)
notify("READY=1")
while not is_leaving:
    # Sent by the loop that does the work: a separate thread would send it for a loop that is stuck, too.
    notify("WATCHDOG=1")
    job = take_job()
    if job is None:
        time.sleep(0.1)
        continue
    print(f"{job} is done", flush=True)
notify("STOPPING=1")
