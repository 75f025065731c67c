// Many batches of mutations over one stream, in order, each atomic, with a bounded number in flight.
//
// Applied is not durable: what counts for a "when durable" promise is the durable_through of Finish (or of an earlier
// answer).  Destroying a stream that was not finished cancels it; batches under way may still be applied then.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_MUTATE_STREAM_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_MUTATE_STREAM_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dmcached/options.h"
#include "dmcached/types.h"

namespace dmcached::client {

struct BatchOptions {
  std::string request_id = {};  // Empty: a random one.
  std::optional<uint64_t> expected_revision = {};
  bool durable = false;  // Start a commit for it.
};

struct FailedBatch {  // Nothing of it happened.
  uint64_t batch = 0;
  absl::Status status = {};
};

struct StreamResult {
  uint64_t applied_through = 0;  // The last batch that was applied.
  uint64_t durable_through = 0;  // Every applied batch up to this number is durable.
  uint64_t durable_transaction = 0;
  uint64_t revision = 0;                 // Of the last batch applied.
  uint64_t removed_count = 0;            // Mappings that RemoveBatches removed.
  std::vector<FailedBatch> failed = {};  // Only with stop_on_error = false.
};

// One thread sends; progress() may be called from any.
class MutateStream {
 public:
  class Impl;
  explicit MutateStream(std::unique_ptr<Impl> impl);
  ~MutateStream();
  MutateStream(MutateStream&&) noexcept;
  MutateStream& operator=(MutateStream&&) noexcept;

  // Sends a batch and returns its number, from 1.  Blocks while max_in_flight batches are not yet applied.
  // Errors: why the stream ended; BatchOf names the batch that ended it.
  absl::StatusOr<uint64_t> Send(const Batch& batch, const BatchOptions& options = {});

  // Waits until every batch sent is applied (or, without stop_on_error, has failed).  Starts no commit.
  absl::Status Flush();

  // Ends the stream and waits for its final answer: everything applied is durable then.
  // Errors: as Send; progress() says how far it came.
  absl::StatusOr<StreamResult> Finish();

  // What has been answered so far.
  StreamResult progress() const;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_MUTATE_STREAM_H_
