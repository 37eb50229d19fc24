"""A requester and a worker that know nothing but cancel-spool(5): worker.py SPOOL JOURNAL SLOTS SLOT EXPIRES

It is killed at any time. What it asked for it says in the journal, and what it runs in its slot.
"""

import os
import random
import secrets
import sys
import time

from python_requester import clear_litter, drop, link_if_absent, new_request
from python_worker import Entry, Lease, decide, write_draft

import json

SLOT_SIZE = 64
LOOKS_MAX = 8
PAUSE_S = 0.004

spool, journal_path, slots_path, slot, expires_s = sys.argv[1:]
journal = os.open(journal_path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
slots = os.open(slots_path, os.O_RDWR | os.O_CLOEXEC)
count = 0


def note(kind, text):
    os.write(journal, ("%s %s\n" % (kind, text)).encode())


def fresh(prefix):
    global count
    count += 1
    return "%s-%d-%s-%d" % (prefix, os.getpid(), secrets.token_hex(2), count)


def fill_slot(name):
    os.pwrite(slots, name.encode().ljust(SLOT_SIZE, b"\0"), int(slot) * SLOT_SIZE)


def publish(name):
    entry, standing = Entry(spool, name), None
    request = new_request(name, "from Python")
    request["expires_in_s"] = int(expires_s)
    fd, draft = write_draft(spool, json.dumps(request).encode())
    os.close(fd)
    note("T", name)
    while standing is None and not link_if_absent(draft, entry):
        standing = clear_litter(entry)
    note("M" if standing else "A", name)
    os.unlink(draft)


def leave_drop(name):
    note("T", name)
    drop(spool, name, "dropped by Python")
    note("d", name)


def look_for_a_while(entry):
    for unused in range(random.randrange(LOOKS_MAX)):
        found = entry.look()
        if found:
            return found
        time.sleep(PAUSE_S)
    return None


def work(asks):
    """Run a task, which this process or another one asks to stop; and then another run of it."""
    name = fresh("python")
    lease = Lease(spool, name, None, [])
    entry = Entry(spool, name)
    entry.remember()
    fill_slot(name)
    if asks:
        asks(name)
    found = look_for_a_while(entry)
    decide(entry, "stopped" if found else "finished")
    fill_slot("")
    lease.end()
    again = Entry(spool, name)
    again.remember()
    second = again.look()
    if found and second and second["request_id"] == found["request_id"]:
        note("V", "'%s': request %s hit two runs in Python" % (name, found["request_id"]))


def main():
    sys.stdout = open(os.devnull, "w")
    while True:
        work(random.choice([None, publish, leave_drop]))
        publish(fresh("nobody"))
        time.sleep(random.random() * PAUSE_S)


try:
    main()
except Exception as problem:
    note("V", "Python: %r" % problem)
    raise
