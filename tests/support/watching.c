#include "watching.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum {
	VARIABLE_SIZE = 160,
	ENVIRONMENT_MAX = 8,
};

struct process watching;

static int notify_fd = -1;
static char notify_variable[VARIABLE_SIZE];

void watching_listen(const struct sockaddr_un *address, size_t length, const char *name)
{
	if (notify_fd >= 0)
		(void)close(notify_fd);
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	cr_assert_eq(bind(notify_fd, (const struct sockaddr *)address, (socklen_t)length), 0, "bind: %s",
		     strerror(errno));
	(void)snprintf(notify_variable, sizeof(notify_variable), "NOTIFY_SOCKET=%s", name);
}

void watching_set_up(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	tool_set_up();
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/notify", tool_dir.root);
	watching_listen(&address, sizeof(address), address.sun_path);
	/* One sweep at the start, and none that a test did not ask for. */
	watching_configure("sweep: {interval: 1h}\n");
}

void watching_tear_down(void)
{
	process_free(&watching);
	(void)close(notify_fd);
	tool_tear_down();
}

void watching_configure(const char *yaml)
{
	tool_write(tool_path("cancel.yaml"), yaml, strlen(yaml));
}

void watching_begin(const char *const *arguments, const char *const *environment)
{
	const char *changes[ENVIRONMENT_MAX + 1] = {notify_variable, "WATCHDOG_PID", "WATCHDOG_USEC"};
	char spool[VARIABLE_SIZE], config[VARIABLE_SIZE];
	int count = 3;

	(void)snprintf(spool, sizeof(spool), "TASK_CANCELLATION_DIR=%s", tool_dir.path);
	(void)snprintf(config, sizeof(config), "CANCEL_CONFIG=%s", tool_path("cancel.yaml"));
	changes[count++] = spool;
	changes[count++] = config;
	while (environment != NULL && *environment != NULL && count < ENVIRONMENT_MAX)
		changes[count++] = *environment++;
	process_free(&watching);
	process_start(&watching, arguments, changes, NULL);
}

void watching_start(const char *const *arguments)
{
	watching_begin(arguments, NULL);
	watching_message("READY=1");
}

/* A message came, or none will come any more. */
static bool is_settled(void *arg)
{
	int waiting = 0;

	(void)arg;
	return (ioctl(notify_fd, FIONREAD, &waiting) == 0 && waiting > 0) || watching.pid == 0 ||
	       process_wait(&watching, 0);
}

void watching_next_message(char message[WATCHING_MESSAGE_SIZE])
{
	ssize_t length;

	cr_assert(wait_until(is_settled, NULL, PROCESS_TIMEOUT_MS), "no message came");
	length = recv(notify_fd, message, WATCHING_MESSAGE_SIZE - 1, MSG_DONTWAIT);
	cr_assert_geq(length, 0, "no message came before it ended with %d: %s", watching.exit_code,
		      watching.err);
	message[length] = '\0';
}

void watching_message(const char *part)
{
	char message[WATCHING_MESSAGE_SIZE];

	do {
		watching_next_message(message);
	} while (strstr(message, part) == NULL);
}

void watching_await(const char *text)
{
	cr_assert(process_wait_out(&watching, text, PROCESS_TIMEOUT_MS), "'%s' was not printed", text);
}

void watching_end(int exit_code)
{
	cr_assert(process_wait(&watching, PROCESS_TIMEOUT_MS), "it does not end");
	cr_assert_eq(watching.exit_code, exit_code, "exit code %d; err: %s", watching.exit_code,
		     watching.err);
}

void watching_stop(int signal_number)
{
	cr_assert_eq(kill(watching.pid, signal_number), 0);
	watching_end(0);
}

void watching_python(const char *input, const char *script)
{
	struct process python;

	process_run(&python, WORDS("python3", "-c", script), NULL, input);
	cr_assert_eq(python.exit_code, 0, "%s\nfrom: %s", python.err, input);
	process_free(&python);
}

int watching_occurrences(const char *text, const char *part)
{
	int count = 0;

	for (text = strstr(text, part); text != NULL; text = strstr(text + 1, part))
		count++;
	return count;
}
