/* Fire rules: for each request that one matches, run its command, again if it fails, and decide the request
 * as the rule says.
 *
 * The spool is the truth, and only a bounded number of requests is kept in mind. What found no room is found
 * again by listing what is pending. No rule takes more room than is left, so that one whose commands hang or
 * fail does not keep the others from theirs. */
#ifndef CANCELWATCH_RULE_ENGINE_H
#define CANCELWATCH_RULE_ENGINE_H

#include "log.h"
#include "notify.h"

#include <cancel/config.h>
#include <cancel/request.h>
#include <cancel/rule.h>
#include <cancel/spool.h>

struct rule_engine;

/* `log` and `notify` are borrowed until it is closed. Returns 0 or a negative errno. */
int rule_engine_open(struct rule_engine **engine, struct log *log, struct notify *notify);

/* Commands that run are ended, and their requests stay pending. NULL is fine. */
void rule_engine_close(struct rule_engine *engine);

/* Readable when rule_engine_dispatch has something to do. Stays the same. */
int rule_engine_fd(const struct rule_engine *engine);
void rule_engine_dispatch(struct rule_engine *engine);

/* Fire these rules, which become the engine's, for requests of this spool, which is borrowed until the next
 * call. Commands that run go on as their rule said; when it is another spool than before they are ended. */
void rule_engine_adopt(struct rule_engine *engine, struct cancel_rules *rules,
		       const struct cancel_config *config, struct cancel_spool *spool);

/* A request is pending, or was a moment ago. */
void rule_engine_take(struct rule_engine *engine, const struct cancel_request *request);

/* Some may have been missed. */
void rule_engine_look_again(struct rule_engine *engine);

#endif
