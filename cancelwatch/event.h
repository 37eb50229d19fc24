/* An event as a line. */
#ifndef CANCELWATCH_EVENT_H
#define CANCELWATCH_EVENT_H

#include "print.h"

#include <cancel/watch.h>

/* TIME EVENT TASK_ID ..., for people. The task id is one word; where there is none it is "-". */
void event_print_text(struct printer *out, const struct cancel_event *event);
/* One object, for programs. */
void event_print_json(struct printer *out, const struct cancel_event *event);

#endif
