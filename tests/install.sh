#!/bin/sh
# What `make install` leaves: the right files, a library that exports its API and nothing else, a .pc file
# with which a program builds against both libraries, tokens that need no other library, completions that complete.
#
#     install.sh BUILD_DIRECTORY
set -u

build=$1
source=$(cd "$(dirname "$0")/.." && pwd) || exit 1
cd "$source" || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
root=$work/root
usr=$root/usr
failures=0

wrong() {
	echo "install: $*" >&2
	failures=$((failures + 1))
}

give_up() {
	wrong "$@"
	exit 1
}

# --- installing -----------------------------------------------------------------------------------

# Modes must not depend on who installs, so the strictest umask is taken. What a make above was told is for
# its own run, so nothing of it is passed on but the build directory.
install_tree() {
	(
		umask 077
		unset MAKEFLAGS MFLAGS MAKELEVEL
		make install B="$build" DESTDIR="$root" PREFIX=/usr
	) >"$work/log" 2>&1 || {
		cat "$work/log" >&2
		give_up 'make install failed'
	}
}

# --- files ----------------------------------------------------------------------------------------

version=$(sed -n 's/^#define CANCEL_VERSION "\(.*\)"$/\1/p' lib/include/cancel/version.h)
soversion=$(sed -n 's/^SOVERSION *:= *//p' Makefile)

expected_files() {
	echo bin/cancelreq
	echo bin/cancelwatch
	echo sbin/cancelwatch
	echo lib/libcancel.a
	echo lib/libcancel.so
	echo "lib/libcancel.so.$soversion"
	echo "lib/libcancel.so.$version"
	echo lib/pkgconfig/libcancel.pc
	for file in lib/include/cancel/*.h; do echo "include/cancel/${file##*/}"; done
	for file in man/*.[1-8]; do echo "share/man/man${file##*.}/${file##*/}"; done
	for file in conf/completion/*; do echo "share/bash-completion/completions/${file##*/}"; done
	for file in conf/cancel.yaml conf/systemd/* conf/cron/* conf/tmpfiles.d/* conf/rules/*; do
		echo "share/doc/libcancel/examples/${file#conf/}"
	done
	for file in tests/examples/*.c tests/examples/*.cc; do
		echo "share/doc/libcancel/examples/${file##*/}"
	done
}

check_files() {
	expected_files | sort >"$work/expected"
	(cd "$usr" && find . ! -type d) | sed 's|^\./||' | sort >"$work/files"
	diff "$work/expected" "$work/files" >"$work/diff" ||
		wrong "the files differ (<: missing, >: not expected):
$(grep '^[<>]' "$work/diff")"
	[ "$(find "$root" -mindepth 1 -maxdepth 1)" = "$usr" ] || wrong 'something is outside of PREFIX'
}

check_modes() {
	bad=$(find "$usr" ! -type l \( ! -perm -444 -o -perm /022 -o -type d ! -perm -555 \))
	[ -z "$bad" ] || wrong "not everybody may read this, or others may write it:
$bad"
	for program in bin/cancelreq sbin/cancelwatch; do
		[ -x "$usr/$program" ] || wrong "$program cannot be run"
	done
}

check_programs() {
	for program in bin/cancelreq sbin/cancelwatch; do
		"$usr/$program" --version 2>&1 | grep -qF "$version" ||
			wrong "$program --version does not say $version"
	done
}

# --- the library ----------------------------------------------------------------------------------

dynamic() {
	readelf -d "$1" | sed -n "s/.*($2).*\[\(.*\)\]\$/\1/p"
}

check_links() {
	so=libcancel.so
	[ "$(readlink "$usr/lib/$so")" = "$so.$soversion" ] || wrong "$so does not lead to $so.$soversion"
	[ "$(readlink "$usr/lib/$so.$soversion")" = "$so.$version" ] ||
		wrong "$so.$soversion does not lead to $so.$version"
	[ "$(dynamic "$usr/lib/$so" SONAME)" = "$so.$soversion" ] || wrong "the soname is not $so.$soversion"
}

check_symbols() {
	sed -n 's/^CANCEL_API .*[ *]\(cancel_[a-z0-9_]*\)(.*/\1/p' "$usr"/include/cancel/*.h |
		sort >"$work/api"
	nm -D --defined-only "$usr/lib/libcancel.so" | sed 's/.* //; s/@.*//' | sort >"$work/symbols"
	[ -s "$work/api" ] || wrong 'the headers declare nothing'
	diff "$work/api" "$work/symbols" >"$work/diff" ||
		wrong "headers and symbols differ (<: only declared, >: only exported):
$(grep '^[<>]' "$work/diff")"
}

# --- building against it --------------------------------------------------------------------------

pc_file=$usr/lib/pkgconfig/libcancel.pc

# One field of the .pc file, its variables put in.
pc_field() {
	value=$(sed -n "s/^$1: *//p" "$pc_file")
	for variable in includedir libdir prefix; do
		content=$(sed -n "s/^$variable=//p" "$pc_file")
		value=$(echo "$value" | sed "s|\${$variable}|$content|g")
	done
	echo "$value"
}

# What pkg-config says with these options, with the installed tree in front of its paths.
flags() {
	if command -v "${PKG_CONFIG:-pkg-config}" >/dev/null; then
		PKG_CONFIG_LIBDIR=$usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root PKG_CONFIG_PATH="" \
			PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 PKG_CONFIG_ALLOW_SYSTEM_LIBS=1 \
			"${PKG_CONFIG:-pkg-config}" "$@" libcancel
		return
	fi
	case $* in *--cflags*) pc_field Cflags ;; esac
	case $* in *--libs*) pc_field Libs ;; esac
	case $* in *--static*) pc_field Libs.private ;; esac
}

# Without pkg-config the tree is still to be put in front.
rooted_flags() {
	flags "$@" | tr '\n' ' ' | sed "s|$root/|/|g; s|-\([IL]\)/|-\1$root/|g"
}

write_program() {
	cat >"$work/program.c" <<'END'
#include <cancel/cancel.h>

#include <stdio.h>

int main(int argc, char **argv)
{
	struct cancel_spool_options options;
	struct cancel_request request;
	struct cancel_spool *spool;
	struct cancel_error error;

	cancel_spool_options_init(&options);
	options.path = argc > 1 ? argv[1] : NULL;
	options.create = true;
	cancel_request_init(&request);
	request.task_id = "task_1";
	if (cancel_spool_open(&spool, &options, &error) < 0 ||
	    cancel_spool_request(spool, &request, NULL, &error) < 0) {
		fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	cancel_request_clear(&request);
	cancel_spool_close(spool);
	puts(cancel_version());
	return 0;
}
END
}

# Build it as `$1` with the flags `$2` and run it.
check_program() {
	program=$work/$1
	# shellcheck disable=SC2086 # flags are words
	${CC:-cc} -Wall -Werror -o "$program" "$work/program.c" $2 >"$work/log" 2>&1 || {
		wrong "a program does not build with libcancel.pc, $1: $2
$(cat "$work/log")"
		return
	}
	said=$(LD_LIBRARY_PATH=$usr/lib "$program" "$work/spool_$1" 2>&1) || wrong "a $1 program fails: $said"
	[ "$said" = "$version" ] || wrong "a $1 program says version '$said', not $version"
	[ -e "$work/spool_$1/pending/task_1.json" ] || wrong "a $1 program asked for nothing"
}

check_building() {
	[ "$(pc_field Version)" = "$version" ] || wrong "libcancel.pc says version '$(pc_field Version)'"
	write_program
	check_program shared "$(rooted_flags --cflags --libs)"
	[ "$(dynamic "$work/shared" NEEDED | grep -c "^libcancel.so.$soversion\$")" = 1 ] ||
		wrong 'a shared program does not need the soname'
	# The linker takes the shared one of two, unless it is named.
	check_program static "$(rooted_flags --static --cflags --libs | sed 's/-lcancel/-l:libcancel.a/g')"
	dynamic "$work/static" NEEDED | grep -q libcancel && wrong 'a static program needs the shared library'
}

# A program that uses tokens and no spool, with something of each area; a deadline starts the dispatcher.
write_token_program() {
	cat >"$work/tokens.c" <<'END'
#include <cancel/cancel.h>

#include <stdio.h>

static void say(void *arg, struct cancel_token token)
{
	(void)token;
	puts(arg);
}

int main(void)
{
	struct cancel_source user = CANCEL_SOURCE_INIT, stop;
	struct cancel_deadline deadline = CANCEL_DEADLINE_INIT;
	struct cancel_registration registration;
	struct cancel_token token = cancel_source_token(&user);
	struct cancel_link link;
	struct cancel_fd fd;

	if (cancel_linked_init(&stop, NULL, &link, &token, 1) ||
	    cancel_registration_add(&registration, cancel_source_token(&stop), say, "stopped") ||
	    cancel_fd_open(&fd, cancel_source_token(&stop)) < 0 ||
	    cancel_deadline_set(&deadline, &user, 3600 * CANCEL_SECOND, NULL))
		return 1;
	(void)cancel_source_cancel(&user, NULL);
	if (cancel_token_wait(cancel_source_token(&stop), CANCEL_FOREVER) < 0)
		return 2;
	(void)cancel_deadline_stop(&deadline);
	cancel_fd_close(&fd);
	(void)cancel_registration_remove(&registration);
	(void)cancel_linked_fini(&stop, &link, 1);
	return cancel_source_fini(&user) ? 3 : 0;
}
END
}

# As libcancel(3) says.
check_tokens() {
	write_token_program
	${CC:-cc} -Wall -Werror -o "$work/tokens" -I"$usr/include" "$work/tokens.c" -L"$usr/lib" \
		-l:libcancel.a -lpthread >"$work/log" 2>&1 || {
		wrong "a program that uses tokens only does not link without libyaml and libjansson
$(cat "$work/log")"
		return
	}
	said=$("$work/tokens" 2>&1) || wrong "a program that uses tokens only fails with $?: $said"
	[ "$said" = stopped ] || wrong "a program that uses tokens only says '$said', not 'stopped'"
	dynamic "$work/tokens" NEEDED | grep -E 'cancel|yaml|jansson' &&
		wrong 'a program that uses tokens only needs a library besides libc'
}

# --- completion -----------------------------------------------------------------------------------

# Completing the word `$2` of the program `$1` gives exactly `$3`.
check_completion() {
	file=$usr/share/bash-completion/completions/$1
	bash -n "$file" || wrong "the completion of $1 is no bash"
	# shellcheck disable=SC2016 # for bash to expand
	given=$(bash --norc -c '. "$1"; COMP_WORDS=("$2" "$3"); COMP_CWORD=1
		call=$(complete -p "$2"); call=${call#*-F }
		"${call%% *}" "$2" "$3" "$2"; echo "${COMPREPLY[*]}"' \
		bash "$file" "$1" "$2" 2>&1)
	[ "$given" = "$3" ] || wrong "'$1 $2' is completed to '$given', not '$3'"
}

check_completions() {
	check_completion cancelreq --withd --withdraw
	check_completion cancelreq --st '--status --state'
	check_completion cancelwatch swe sweep
	check_completion cancelwatch check check-config
	check_completion cancelwatch rul rules
}

install_tree
check_files
check_modes
check_programs
check_links
check_symbols
check_building
check_tokens
check_completions
[ "$failures" = 0 ] || exit 1
echo "install: $(wc -l <"$work/files") files, $(grep -c /man/ "$work/files") of them manual pages;" \
	"$(wc -l <"$work/symbols") symbols; builds shared and static, tokens alone"
