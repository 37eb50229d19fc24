"""A worker that knows nothing but cancel-spool(5) and Python's standard library.

    python_worker.py [OPTION...] SPOOL TASK_ID

It runs until it is cancelled, or has looked as often as it was told, decides what is pending for its own names,
and says so on standard output. What it offers is also what python_requester.py needs.
"""

import argparse
import errno
import fcntl
import hashlib
import json
import os
import re
import secrets
import socket
import stat
import struct
import sys
import time

RECORD_MAX = 64 * 1024
SETTLE_S = 5
LOCK_WAIT_S = 10
LOOK_AGAIN_S = 0.005
WORDS_AT = 4096
WORDS = 16384
CANCELS = ("stopped", "finished", "failed", "refused")


# --- names and locks ----------------------------------------------------------------------------------------


def name(task_id, run=None):
    def escape(text):
        return b"".join(
            b"%%%02X" % c if c < 32 or c in b"/%@\x7f" or (i == 0 and c == 46) else bytes([c])
            for i, c in enumerate(text.encode()))

    whole = escape(task_id) + (b"@" + escape(run) if run else b"")
    if len(whole) > 200:
        whole = whole[:100] + b"%~" + hashlib.sha256(whole).hexdigest()[:32].encode()
    return whole


def fnv1a(text):
    number = 0xCBF29CE484222325
    for byte in text:
        number = (number ^ byte) * 0x100000001B3 % 2 ** 64
    return number


def pack_lock(kind, start, length):
    return struct.pack("hhqqi4x", kind, os.SEEK_SET, start, length, 0)


def set_lock(fd, kind, start, length):
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, pack_lock(kind, start, length))


def who_locks(fd, start, length):
    """The kind of lock that keeps a write lock out; F_UNLCK where none does."""
    found = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, pack_lock(fcntl.F_WRLCK, start, length))
    return struct.unpack("hhqqi4x", found)[0]


class NameLock:
    """A name's lock, for a with statement."""

    def __init__(self, spool, whose):
        self.path = os.path.join(spool, "lock")
        self.byte = fnv1a(whose) // 4

    def attempt(self):
        fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            set_lock(fd, fcntl.F_WRLCK, self.byte, 1)
            if os.fstat(fd).st_nlink:
                return fd
        except OSError as problem:
            if problem.errno not in (errno.EAGAIN, errno.EACCES):
                os.close(fd)
                raise
        os.close(fd)
        return None

    def __enter__(self):
        give_up = time.monotonic() + LOCK_WAIT_S
        while True:
            self.fd = self.attempt()
            if self.fd is not None:
                return self
            if time.monotonic() > give_up:
                raise TimeoutError("somebody holds the name's lock")
            time.sleep(LOOK_AGAIN_S)

    def __exit__(self, *unused):
        set_lock(self.fd, fcntl.F_UNLCK, 0, 0)
        os.close(self.fd)


# --- records ------------------------------------------------------------------------------------------------


def now_text():
    ns = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10 ** 9)) + ".%06dZ" % (ns // 1000 % 10 ** 6)


def boot_id():
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def boottime_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def derived_id(status):
    seed = "%d:%d:%d.%09d" % (status.st_dev, status.st_ino, status.st_ctime_ns // 10 ** 9,
                              status.st_ctime_ns % 10 ** 9)
    return hashlib.sha256(seed.encode()).hexdigest()[:32]


def reject_twice(pairs):
    keys = [key for key, value in pairs]
    if len(keys) != len(set(keys)):
        raise ValueError("a key twice")
    return dict(pairs)


def read_record(path):
    """What stands there, and its stat: (None, None) when nothing does, (None, stat) while it is being written."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, None
    with open(fd, "rb") as file:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or status.st_size > RECORD_MAX:
            raise ValueError("no record: " + os.fsdecode(path))
        text = file.read(RECORD_MAX + 1)
    try:
        record = json.loads(text, object_pairs_hook=reject_twice)
        if not isinstance(record, dict):
            raise ValueError("not an object")
    except ValueError:
        if abs(time.time() - status.st_ctime) < SETTLE_S:
            return None, status
        record = {}
    return record, status


def is_same_request(record, decided):
    """Whether a pending record with its id is litter of a processed one."""
    return decided is not None and not decided.get("group") and \
        record["request_id"] == decided.get("request_id")


def request_id(record, status):
    written = record.get("request_id")
    if isinstance(written, str) and re.fullmatch("[0-9a-f]{32}", written):
        return written
    return derived_id(status)


class Entry:
    """One name that a run listens to."""

    def __init__(self, spool, task_id, run=None):
        self.spool, self.task_id, self.run = spool, task_id, run
        self.name = name(task_id, run)
        self.pending = self.path("pending")
        self.processed = self.path("processed")
        self.mark = None

    def path(self, folder):
        return os.path.join(os.fsencode(self.spool), folder.encode(), self.name + b".json")

    def is_about_me(self, record):
        return name(record.get("task_id") or self.task_id, record.get("run") or self.run) == self.name

    def last_cancel_id(self):
        record, status = read_record(self.processed)
        return (record or {}).get("last_cancel_id")

    def remember(self):
        self.mark = self.last_cancel_id()

    def read_pending(self):
        """The request in pending/, litter too, with its id; and its stat."""
        record, status = read_record(self.pending)
        if record is None or not self.is_about_me(record):
            return None, status
        record["request_id"] = request_id(record, status)
        return record, status

    def still_pending(self, status):
        try:
            now = os.lstat(self.pending)
        except FileNotFoundError:
            return False
        return (now.st_ino, now.st_ctime_ns) == (status.st_ino, status.st_ctime_ns)

    def standing(self):
        """The request that stands, or None: litter does not."""
        while True:
            record, status = self.read_pending()
            decided, unused = read_record(self.processed)
            if record is None or is_same_request(record, decided):
                return None
            if self.still_pending(status):
                return record

    def look(self):
        """The request that cancels, or None."""
        record = self.standing()
        if record and record["request_id"] != self.mark and in_effect(record):
            return record
        decided, unused = read_record(self.processed)
        last = (decided or {}).get("last_cancel_id")
        if last and last != self.mark and (last != decided.get("request_id") or in_effect(decided)):
            return decided
        return None


def in_effect(record):
    return not record.get("cancel_at") or parse_time(record["cancel_at"]) <= time.time()


def parse_time(text):
    from datetime import datetime
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# --- changing a record --------------------------------------------------------------------------------------


def write_draft(spool, text):
    """An open draft, and its path."""
    path = os.path.join(spool, "tmp", secrets.token_hex(16) + ".draft")
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    view = memoryview(text)
    while view:
        view = view[os.write(fd, view):]
    return fd, path


def replace_record(spool, path, record):
    fd, draft = write_draft(spool, json.dumps(record).encode() + b"\n")
    os.close(fd)
    os.rename(draft, path)


def worker_of(run):
    return {"uid": os.geteuid(), "pid": os.getpid(), "host": socket.gethostname(), "run": run}


def decision(record, outcome, detail, run, last_cancel_id):
    """The processed record of a pending one."""
    decided = dict(record)
    decided.update({
        "status": "processed", "processed_at": now_text(), "processed_boot_id": boot_id(),
        "processed_boottime_ns": boottime_ns(), "outcome": outcome, "detail": detail,
        "worker": worker_of(run), "last_cancel_id": last_cancel_id})
    return decided


def settle_id(entry, record):
    on_disk, unused = read_record(entry.pending)
    if on_disk.get("request_id") != record["request_id"]:
        replace_record(entry.spool, entry.pending, record)


def decide(entry, outcome, detail=None, run=None, die_decided=False, at_end=None):
    """Decide what is pending for a name. True: this call did. `at_end` is asked under the lock whether to leave it to
    another run, and told that the lock is about to end."""
    with NameLock(entry.spool, entry.name):
        try:
            return not (at_end and at_end.leaves()) and decide_locked(entry, outcome, detail, run, die_decided)
        finally:
            if at_end:
                at_end.ends()


def decide_locked(entry, outcome, detail, run, die_decided):
    record, unused = entry.read_pending()
    before, unused = read_record(entry.processed)
    if record is None:
        return False
    if is_same_request(record, before):
        os.unlink(entry.pending)
        return False
    settle_id(entry, record)
    record.setdefault("task_id", entry.task_id)
    record.setdefault("run", entry.run)
    last = record["request_id"] if outcome in CANCELS else (before or {}).get("last_cancel_id")
    replace_record(entry.spool, entry.processed, decision(record, outcome, detail, run, last))
    if die_decided:
        os.kill(os.getpid(), 9)
    os.unlink(entry.pending)
    return True


def leave_member_record(own, group, record, outcome, detail, run):
    """Say how a run ended that another id's request stopped."""
    with NameLock(own.spool, own.name):
        standing, unused = own.read_pending()
        before, unused = read_record(own.processed)
        if standing is not None and is_same_request(standing, before):
            os.unlink(own.pending)
        member = decision(record, outcome, detail, run, (before or {}).get("last_cancel_id"))
        member.update({"task_id": own.task_id, "run": own.run, "group": group})
        replace_record(own.spool, own.processed, member)


# --- leases -------------------------------------------------------------------------------------------------


class Lease:
    def __init__(self, spool, task_id, run, also):
        text = json.dumps({
            "task_id": task_id, "run": run, "also": also, "pid": os.getpid(), "uid": os.geteuid(),
            "host": socket.gethostname(), "program": "python_worker", "started_at": now_text(),
            "boot_id": boot_id()}).encode() + b"\n"
        self.fd, draft = write_draft(spool, b"")
        set_lock(self.fd, fcntl.F_WRLCK, 0, 0)
        os.write(self.fd, text)
        folder = os.path.join(os.fsencode(spool), b"runs")
        self.path = os.path.join(folder, name(task_id, run))
        try:
            os.link(draft, self.path)
        except FileExistsError:
            self.path += b"@@" + secrets.token_hex(4).encode()
            os.link(draft, self.path)
        os.unlink(draft)

    def end(self):
        os.unlink(self.path)
        os.close(self.fd)


def alive_leases(spool):
    """The text of each lease that is alive, and its path."""
    folder = os.path.join(os.fsencode(spool), b"runs")
    for file in os.listdir(folder):
        path = os.path.join(folder, file)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        with open(fd, "rb") as lease:
            if who_locks(fd, 0, 1) != fcntl.F_UNLCK:
                yield json.loads(lease.read(RECORD_MAX)), path


# --- the bell -----------------------------------------------------------------------------------------------


def read_words(spool, ids):
    """What the words of these ids say; None where there is no bell."""
    try:
        fd = os.open(os.path.join(spool, "bell"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        return [os.pread(fd, 4, WORDS_AT + 4 * (fnv1a(id.encode()) % WORDS)) for id in ids]
    finally:
        os.close(fd)


# --- the run ------------------------------------------------------------------------------------------------


def say(*words):
    print(*words, flush=True)


class Run:
    def __init__(self, options):
        self.options = options
        self.lease = Lease(options.spool, options.task_id, options.run, options.also)
        self.own = [Entry(options.spool, options.task_id)]
        if options.run:
            self.own.append(Entry(options.spool, options.task_id, options.run))
        self.groups = [Entry(options.spool, id) for id in options.also]
        for entry in self.own + self.groups:
            entry.remember()

    def ids(self):
        return [self.options.task_id] + self.options.also

    def look(self):
        """The entry and the record that cancel this run, or None."""
        for entry in self.own + self.groups:
            record = entry.look()
            if record:
                return entry, record
        return None

    def is_needed_by_another(self):
        return any(lease["task_id"] == self.options.task_id and path != self.lease.path
                   for lease, path in alive_leases(self.options.spool))

    def end(self, outcome, found):
        run, detail, die = self.options.run, self.options.detail, self.options.die_decided
        decided = sum(decide(entry, outcome, detail, run, die) for entry in self.own if entry.run)
        last = RunEnd(self, outcome)
        decided += sum(decide(entry, outcome, detail, run, die, last) for entry in self.own if not entry.run)
        if found and found[0] in self.groups and not decided:
            leave_member_record(self.own[-1], found[0].task_id, found[1], outcome, detail, run)
        return decided


class RunEnd:
    """The end of a run's lease, under the lock of its task's name."""
    def __init__(self, run, outcome):
        self.run, self.outcome = run, outcome

    def leaves(self):
        return self.outcome == "finished" and self.run.is_needed_by_another()

    def ends(self):
        self.run.lease.end()


def wait_for_gate(path):
    while path and not os.path.exists(path):
        time.sleep(LOOK_AGAIN_S)


def work(run):
    """Look until it is cancelled, or often enough."""
    looks = 0
    while run.options.looks is None or looks < run.options.looks:
        found = run.look()
        if found:
            return found
        looks += 1
        time.sleep(LOOK_AGAIN_S)
    return None


def work_by_bell(run):
    """Look only when the bell has rung. The first words are read before the first look."""
    words = None
    while True:
        now = read_words(run.options.spool, run.ids())
        if now is None or now != words:
            words = now
            found = run.look()
            if found:
                return found
        time.sleep(LOOK_AGAIN_S)


def parse_options():
    parser = argparse.ArgumentParser()
    parser.add_argument("spool")
    parser.add_argument("task_id")
    parser.add_argument("--run")
    parser.add_argument("--also", action="append", default=[])
    parser.add_argument("--detail", default="stopped in Python")
    parser.add_argument("--gate", help="do not look before this file exists")
    parser.add_argument("--looks", type=int, help="finish after so many looks")
    parser.add_argument("--bell", action="store_true", help="look only when the bell has rung")
    parser.add_argument("--die-decided", action="store_true", help="be killed in the middle of the decision")
    return parser.parse_args()


def main():
    run = Run(parse_options())
    say("running")
    wait_for_gate(run.options.gate)
    found = work_by_bell(run) if run.options.bell else work(run)
    if found:
        say("cancelled for %s: %s" % (found[0].task_id, found[1].get("reason")))
    decided = run.end("stopped" if found else "finished", found)
    say("decided %d" % decided)


if __name__ == "__main__":
    sys.exit(main())
