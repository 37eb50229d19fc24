/* A request as a number: its ids, mixed with a secret of this process, so that nobody can make one that is
 * taken for another. */
#ifndef CANCELWATCH_RULE_KEY_H
#define CANCELWATCH_RULE_KEY_H

#include <cancel/request.h>

#include <stdint.h>

uint64_t rule_key(const struct cancel_request *request);

#endif
