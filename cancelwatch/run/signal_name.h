/* Signals, and what people call them. */
#ifndef CANCELWATCH_SIGNAL_NAME_H
#define CANCELWATCH_SIGNAL_NAME_H

/* The signal that a text means, with SIG before it or without, or its number; or -EINVAL. */
int signal_parse(const char *text);

/* Its name, with SIG before it; "signal 40" for one that has none. */
#define SIGNAL_NAME_SIZE 32
const char *signal_name(char name[SIGNAL_NAME_SIZE], int number);

#endif
