// The client's half of a Mutate call.
#ifndef DMCACHED_CLIENT_SRC_MUTATE_STREAM_IMPL_H_
#define DMCACHED_CLIENT_SRC_MUTATE_STREAM_IMPL_H_

#include <grpcpp/client_context.h>
#include <grpcpp/support/sync_stream.h>

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "dmcached/mutate_stream.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"

namespace dmcached::client {

// A thread of its own reads the answers, so that a Send that blocks in the transport cannot stop them.
class MutateStream::Impl {
 public:
  Impl(const MutateStreamOptions& options, uint64_t incarnation) : options_(options), incarnation_(incarnation) {}
  ~Impl();

  void Start(v1::MetadataService::Stub& stub, const std::string& cache);
  absl::StatusOr<uint64_t> Send(const Batch& batch, const BatchOptions& options);
  absl::Status Flush();
  absl::StatusOr<StreamResult> Finish();
  StreamResult progress() const;

 private:
  void ReadAnswers();
  void Record(const v1::MutateResponse& response);
  // Waits for the end and says why it came.
  absl::Status WaitForEnd();
  // The end of the stream as an error; names the batch that caused it.  Holds mutex_.
  absl::Status EndLocked() const;
  uint64_t InFlightLocked() const { return sent_ - answered_; }

  const MutateStreamOptions options_;
  const uint64_t incarnation_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::MutateRequest, v1::MutateResponse>> stream_;
  std::thread reader_;
  bool half_closed_ = false;  // Of the sending thread.

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t sent_ = 0;      // Number of the last batch sent.
  uint64_t answered_ = 0;  // Number of the last batch applied or failed.
  bool ended_ = false;
  absl::Status end_;
  StreamResult progress_;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_SRC_MUTATE_STREAM_IMPL_H_
