#include "token_gate.h"

void token_gate_pass(struct token_gate *gate)
{
	(void)pthread_mutex_lock(&gate->lock);
	gate->arrived++;
	(void)pthread_cond_broadcast(&gate->changed);
	while (!gate->is_open)
		(void)pthread_cond_wait(&gate->changed, &gate->lock);
	(void)pthread_mutex_unlock(&gate->lock);
}

void token_gate_touch(struct token_gate *gate)
{
	(void)pthread_mutex_lock(&gate->lock);
	gate->arrived++;
	(void)pthread_cond_broadcast(&gate->changed);
	(void)pthread_mutex_unlock(&gate->lock);
}

void token_gate_await(struct token_gate *gate, int count)
{
	(void)pthread_mutex_lock(&gate->lock);
	while (gate->arrived < count)
		(void)pthread_cond_wait(&gate->changed, &gate->lock);
	(void)pthread_mutex_unlock(&gate->lock);
}

void token_gate_open(struct token_gate *gate)
{
	(void)pthread_mutex_lock(&gate->lock);
	gate->is_open = true;
	(void)pthread_cond_broadcast(&gate->changed);
	(void)pthread_mutex_unlock(&gate->lock);
}
