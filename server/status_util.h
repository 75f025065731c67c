// Errors of the engine as gRPC statuses.
#ifndef DMCACHED_SERVER_STATUS_UTIL_H_
#define DMCACHED_SERVER_STATUS_UTIL_H_

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace dmcached {

// gRPC answers RESOURCE_EXHAUSTED to a client whose trailers are too long, so text is cut here, and only here.
inline constexpr size_t kMaxStatusTextBytes = 1024;
inline constexpr size_t kMaxStatusDetailsBytes = 1024;

// `text` as valid UTF-8 (what is not becomes '?'), at most `max_bytes` long, cut between characters.
std::string CutText(const std::string& text, size_t max_bytes);

// Code and sentence; the reason and the first bad item as a google.rpc.ErrorInfo in the details.  `batch`: the batch of
// a Mutate stream that the error is about.
grpc::Status ToGrpcStatus(const absl::Status& status, std::optional<uint64_t> batch = std::nullopt);

// What `work` (any type that an absl::Status converts to) returns; INTERNAL for what a library throws in it.
template <typename Work>
auto StopExceptions(Work&& work) -> decltype(work()) {
  try {
    return work();
  } catch (const std::exception& thrown) {
    return absl::InternalError(std::string("stopped by a library: ") + thrown.what());
  }
}

}  // namespace dmcached

#endif  // DMCACHED_SERVER_STATUS_UTIL_H_
