/* What links and descriptors do as registrations. */
#ifndef TOKEN_REGISTRATION_H
#define TOKEN_REGISTRATION_H

#include <cancel/registration.h>

#include <stdbool.h>

/* List a registration whose callback and arg are set. `to_mark`: its callback is one that marking looks for.
 * 0, or 1: the source is cancelled, nothing was listed. */
int registration_list(struct cancel_registration *registration, struct cancel_source *source, bool to_mark);

/* It was not listed, and its callback is called at once. */
void registration_called(struct cancel_registration *registration);

/* enum cancel_removal, or -EDEADLK. Without `wait` CANCEL_INSIDE means that it is being called, by whomever.
 */
int registration_remove(struct cancel_registration *registration, bool wait);

#endif
