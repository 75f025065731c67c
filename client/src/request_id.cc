#include "client/src/request_id.h"

#include <cstdint>
#include <random>

#include "absl/strings/str_cat.h"

namespace dmcached::client {

std::string NewRequestId() {
  // Straight from the kernel: a seeded generator would repeat itself after fork.
  std::random_device source;
  std::string id;
  for (int word = 0; word < 4; ++word) {
    absl::StrAppend(&id, absl::Hex(static_cast<uint32_t>(source()), absl::kZeroPad8));
  }
  return id;
}

}  // namespace dmcached::client
