/* All managers of the process, for fork. */
#ifndef TASK_REGISTRY_H
#define TASK_REGISTRY_H

#include "manager.h"

/* 0, or what pthread_atfork(3) said. */
int registry_add(struct cancel_manager *manager);
void registry_remove(struct cancel_manager *manager);

/* No fork between the two: for who makes what a child must not keep. */
void registry_hold_forks(void);
void registry_allow_forks(void);

#endif
