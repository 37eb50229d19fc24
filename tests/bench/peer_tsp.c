#include "peer_tsp.h"

#include "harness.h"
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct keeping {
	pid_t server;
	int ends[2];
};

static pid_t keeper;
static struct keeping kept;

/* The server leaves our session, so that what ends the benchmark does not end it: somebody else who left
 * does. */
static void keep(const void *arg)
{
	const struct keeping *keeping = arg;
	char nothing;

	(void)prctl(PR_SET_PDEATHSIG, 0);
	(void)setsid();
	(void)close(keeping->ends[1]);
	(void)!read(keeping->ends[0], &nothing, 1);
	(void)kill(keeping->server, SIGTERM);
}

static pid_t find_server(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct ucred server = {0};
	socklen_t size = sizeof server;

	(void)snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &server, &size) < 0)
		bench_fail("cannot connect to '%s': %s", path, strerror(errno));
	(void)close(fd);
	return server.pid;
}

void peer_tsp_start(const struct place *place)
{
	char path[sizeof((struct sockaddr_un *)0)->sun_path];

	(void)snprintf(path, sizeof path, "%.90s/tsp", place->dir);
	(void)setenv("TS_SOCKET", path, 1);
	(void)setenv("TMPDIR", place->dir, 1);
	(void)setenv("TS_MAXFINISHED", "10", 1);
	process_must(PROCESS_ARGUMENTS(TSP)); /* lists its jobs, for which it starts the server */
	kept.server = find_server(path);
	if (pipe2(kept.ends, O_CLOEXEC) < 0)
		bench_fail("cannot make a pipe: %s", strerror(errno));
	keeper = process_fork(keep, &kept);
	(void)close(kept.ends[0]);
}

void peer_tsp_end(void)
{
	(void)close(kept.ends[1]);
	(void)process_wait(keeper);
	(void)unsetenv("TS_SOCKET");
	(void)unsetenv("TMPDIR");
	(void)unsetenv("TS_MAXFINISHED");
}
