/* Everything. */
#ifndef CANCEL_CANCEL_H
#define CANCEL_CANCEL_H

#include <cancel/batch.h>
#include <cancel/cause.h>
#include <cancel/clock.h>
#include <cancel/config.h>
#include <cancel/deadline.h>
#include <cancel/dispatcher.h>
#include <cancel/error.h>
#include <cancel/fd.h>
#include <cancel/limits.h>
#include <cancel/link.h>
#include <cancel/list.h>
#include <cancel/manager.h>
#include <cancel/registration.h>
#include <cancel/request.h>
#include <cancel/rule.h>
#include <cancel/run.h>
#include <cancel/scheduler.h>
#include <cancel/source.h>
#include <cancel/spool.h>
#include <cancel/statistics.h>
#include <cancel/sweep.h>
#include <cancel/task.h>
#include <cancel/text.h>
#include <cancel/token.h>
#include <cancel/tries.h>
#include <cancel/version.h>
#include <cancel/watch.h>

#endif
