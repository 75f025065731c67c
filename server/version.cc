#include "server/version.h"

namespace dmcached {

const char* Version() { return DMCACHED_VERSION; }

const char* Revision() { return DMCACHED_REVISION; }

}  // namespace dmcached
