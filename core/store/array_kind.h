// The four arrays of a cache image.
#ifndef DMCACHED_CORE_STORE_ARRAY_KIND_H_
#define DMCACHED_CORE_STORE_ARRAY_KIND_H_

#include <cstddef>

namespace dmcached {

enum class ArrayKind { kMappings = 0, kDirty = 1, kDiscards = 2, kHints = 3 };
inline constexpr size_t kArrayKinds = 4;

// "mapping array", "dirty bitset", ...
const char* ArrayKindName(ArrayKind kind);

}  // namespace dmcached

#endif  // DMCACHED_CORE_STORE_ARRAY_KIND_H_
