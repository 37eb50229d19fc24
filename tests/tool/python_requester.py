"""A requester that knows nothing but cancel-spool(5) and Python's standard library.

    python_requester.py publish SPOOL TASK_ID REASON   create a request if none stands
    python_requester.py drop SPOOL TASK_ID REASON      leave a drop
    python_requester.py result SPOOL TASK_ID           wait for the decision, and print its record
    python_requester.py running SPOOL                  print the task and the pid of every run that is alive
    python_requester.py hold SPOOL TASK_ID GATE        hold the name's lock until the file GATE exists
    python_requester.py watched SPOOL                  does somebody ring for programs that know no bell?
"""

import fcntl
import json
import os
import secrets
import socket
import sys
import time

from python_worker import (LOOK_AGAIN_S, Entry, NameLock, alive_leases, boot_id, boottime_ns, is_same_request,
                           now_text, read_record, say, who_locks, write_draft)


def new_request(task_id, reason):
    return {
        "task_id": task_id, "run": None, "request_id": secrets.token_hex(16), "reason": reason,
        "status": "pending", "requested_at": now_text(), "boot_id": boot_id(), "boottime_ns": boottime_ns(),
        "expires_in_s": 3600, "cancel_at": None,
        "requester": {"name": "snake", "uid": os.geteuid(), "gid": os.getegid(), "pid": os.getpid(),
                      "host": socket.gethostname(), "program": "python_requester"}}


def link_if_absent(draft, entry):
    try:
        os.link(draft, entry.pending)
        return True
    except FileExistsError:
        return False


def clear_litter(entry):
    """The request that stands in the way; None when it was litter, or has gone."""
    with NameLock(entry.spool, entry.name):
        record, unused = entry.read_pending()
        decided, unused = read_record(entry.processed)
        if record is None or not is_same_request(record, decided):
            return record
        os.unlink(entry.pending)
        return None


def publish(spool, task_id, reason):
    entry, standing = Entry(spool, task_id), None
    request = new_request(task_id, reason)
    fd, draft = write_draft(spool, json.dumps(request).encode())
    os.close(fd)
    while standing is None and not link_if_absent(draft, entry):
        standing = clear_litter(entry)
    os.unlink(draft)
    say("already pending" if standing else "requested")


def drop(spool, task_id, reason):
    file = Entry(spool, task_id).name.decode() + ".json"
    hidden = os.path.join(spool, "." + file)
    with open(hidden, "x") as draft:
        json.dump({"reason": reason}, draft)
    os.rename(hidden, os.path.join(spool, file))
    say("dropped")


def result(spool, task_id):
    entry = Entry(spool, task_id)
    while True:
        record, unused = read_record(entry.processed)
        if record and not os.path.exists(entry.pending):
            say(json.dumps(record))
            return
        time.sleep(LOOK_AGAIN_S)


def running(spool):
    for lease, unused in alive_leases(spool):
        say(lease["task_id"], lease["pid"])


def hold(spool, task_id, gate):
    with NameLock(spool, Entry(spool, task_id).name):
        say("held")
        while not os.path.exists(gate):
            time.sleep(LOOK_AGAIN_S)


def watched(spool):
    fd = os.open(os.path.join(spool, "bell"), os.O_RDONLY | os.O_CLOEXEC)
    say("yes" if who_locks(fd, 0, 1) != fcntl.F_UNLCK else "no")


VERBS = {"publish": publish, "drop": drop, "result": result, "running": running, "hold": hold, "watched": watched}

if __name__ == "__main__":
    sys.exit(VERBS[sys.argv[1]](*sys.argv[2:]))
