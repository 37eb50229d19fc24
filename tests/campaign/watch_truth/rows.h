/* How each row is played. DESIGN.md, invariant 12, is what they are about. */
#ifndef WATCH_TRUTH_ROWS_H
#define WATCH_TRUTH_ROWS_H

#include "stage.h"

/* rows_hints.c: what the kernel tells, and what it does not. */
void play_plainly(struct stage *stage);
void play_overflow(struct stage *stage);
void play_lost_events(struct stage *stage);
void play_few_instances(struct stage *stage);
void play_few_watches(struct stage *stage);
void play_restored_times(struct stage *stage);

/* rows_life.c: what becomes of those who look. */
void play_stopped(struct stage *stage);
void play_killed(struct stage *stage);
void play_opening(struct stage *stage);
void play_clock(struct stage *stage);
void play_time_namespace(struct stage *stage);

/* rows_place.c: what becomes of the directory. */
void play_replaced(struct stage *stage);
void play_moved(struct stage *stage);
void play_parent_moved(struct stage *stage);
void play_mounted_over(struct stage *stage);
void play_overlay(struct stage *stage);
void play_mirror(struct stage *stage);
void play_mirror_clock(struct stage *stage);

#endif
