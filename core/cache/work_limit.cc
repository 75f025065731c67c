#include "core/cache/work_limit.h"

namespace dmcached {

WorkLimit::Share::~Share() {
  if (used_ == nullptr) return;
  used_->requests.fetch_sub(1);
  used_->bytes.fetch_sub(bytes_);
}

std::optional<WorkLimit::Share> WorkLimit::Take(size_t bytes) {
  const size_t requests = used_->requests.fetch_add(1);
  const size_t before = used_->bytes.fetch_add(bytes);
  Share share(used_, bytes);
  if (requests >= max_requests_ || (before != 0 && before + bytes > max_bytes_)) return std::nullopt;
  return share;
}

}  // namespace dmcached
