/* Everything. */
#ifndef CANCEL_CANCEL_H
#define CANCEL_CANCEL_H

#include <cancel/batch.h>
#include <cancel/config.h>
#include <cancel/error.h>
#include <cancel/limits.h>
#include <cancel/list.h>
#include <cancel/request.h>
#include <cancel/spool.h>
#include <cancel/sweep.h>
#include <cancel/text.h>
#include <cancel/version.h>
#include <cancel/watch.h>

#endif
