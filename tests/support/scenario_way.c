#include "scenario_way.h"

#include "store.h"

void scenario_use_way(struct cancel_spool *spool, enum scenario_way way)
{
	if (way != SCENARIO_WAY_FOUND_OUT)
		atomic_store(&spool->way, way == SCENARIO_WAY_NAMED ? PUBLISH_NOREPLACE : PUBLISH_LOCKED);
}
