// What this build is.
#ifndef DMCACHED_SERVER_VERSION_H_
#define DMCACHED_SERVER_VERSION_H_

namespace dmcached {

// For example "0.1.0".
const char* Version();
// Of the source, as git names it, or "unknown".
const char* Revision();

}  // namespace dmcached

#endif  // DMCACHED_SERVER_VERSION_H_
