#!/bin/sh
# The main job, end to end, on real tasks: a worker hashes files, a delete handler asks that it stop, the worker stops,
# cleans up and says so; the same with a command that knows nothing of it; the watcher shows it all, the sweeper clears
# it away.
#
#     demo.sh BUILD_DIRECTORY
set -eu

programs=$1/bin
worker=$1/tests/demo/hash_files
work=$(mktemp -d)
TASK_CANCELLATION_DIR=$work/spool
CANCEL_CONFIG=$work/cancel.yaml
export TASK_CANCELLATION_DIR CANCEL_CONFIG
watcher=
hasher=
backup=
trap 'kill $watcher $hasher $backup 2>/dev/null || :; rm -rf "$work"' EXIT

say() {
	printf '\n# %s\n' "$1"
}

# Wait until a file holds a pattern; a minute is a failure.
wait_for() {
	tries=0
	until grep -q "$2" "$1" 2>/dev/null; do
		tries=$((tries + 1))
		[ "$tries" -lt 600 ] || {
			echo "demo: waited a minute for '$2' in $1" >&2
			exit 1
		}
		sleep 0.1
	done
}

# Run a command and show it.
run() {
	printf '$ %s\n' "$*"
	"$@"
}
PATH=$programs:$PATH

# Keep decided requests for a second only, so that the sweep has something to show.
printf 'processed:\n  keep_for: 1s\nsweep:\n  interval: 1d\n' >"$CANCEL_CONFIG"

say 'A watcher shows what happens in the spool.'
cancelwatch >"$work/events" 2>"$work/log" &
watcher=$!
wait_for "$work/log" watching

say 'A worker hashes files, as task report_42; between two files it asks whether it is cancelled.'
HASH_FOREVER=1 "$worker" report_42 /usr "$work/hashes" 2>"$work/worker" &
hasher=$!
wait_for "$work/hashes" '/usr'
echo "$(wc -l <"$work/hashes") files so far"

say 'A user deletes the report; the delete handler asks, and waits until the task has stopped.'
run cancelreq --by alice --wait=30s report_42 'report deleted by its owner'

wait "$hasher" && status=0 || status=$?
hasher=
say 'What the worker said; its partial output is gone.'
cat "$work/worker"
[ "$status" = 3 ] && [ ! -e "$work/hashes" ]

say 'Who asked, why, and how it ended.'
run cancelreq --status report_42

say 'What the watcher saw.'
wait_for "$work/events" decided
cat "$work/events"
grep -q 'requested.*report_42' "$work/events"

say 'A later run of the same task is not hit by it.'
run cancelreq --check report_42 && exit 1
echo 'not cancelled'

say 'A command that knows nothing of all this is a task, too: here a shell with tar and gzip, one backup after the other.'
printf '%s\n' 'while :; do tar cf - /usr/share 2>"$1/tar" | gzip >"$1/backup"; done' >"$work/backup.sh"
echo "\$ cancelwatch run backup_7 -- sh backup.sh DIR &"
cancelwatch run backup_7 -- sh "$work/backup.sh" "$work" 2>"$work/run" &
backup=$!
wait_for "$work/backup" .
run cancelreq --list --running

say 'Somebody wants the disk back; all three processes are gone when it says so.'
run cancelreq --by alice --wait=30s backup_7 'the disk is full'
wait "$backup" && status=0 || status=$?
backup=
cat "$work/run"
echo "exit code $status"
[ "$status" = 123 ]
size=$(stat -c %s "$work/backup")

say 'The same for time: two tries of a tenth of a second.'
run cancelwatch run --timeout 100ms --retries 1 --retry-interval 0 slow_8 -- sleep 1000 && exit 1 || status=$?
echo "exit code $status"
[ "$status" = 124 ]
# Nobody has written since.
[ "$(stat -c %s "$work/backup")" = "$size" ]

say 'The sweeper clears away what is past its keeping time.'
# Kept for a second: wait until the latest record is that old.
record=$TASK_CANCELLATION_DIR/processed/backup_7.json
while [ "$(($(date +%s) - $(stat -c %Y "$record")))" -lt 2 ]; do sleep 0.2; done
run cancelwatch sweep
[ -z "$(ls "$TASK_CANCELLATION_DIR/pending" "$TASK_CANCELLATION_DIR/processed" | grep json || :)" ]

kill "$watcher"
wait "$watcher"
watcher=
say 'Done.'
