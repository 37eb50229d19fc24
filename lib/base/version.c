#include <cancel/version.h>

const char *cancel_version(void)
{
	return CANCEL_VERSION;
}
