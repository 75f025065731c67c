// The Mutate rpc: a bidirectional stream of numbered batches for one cache, applied strictly in order.
//
//   reading ahead   at most kReadAhead batches are read and not yet applied; then the client is held back until half of
//                   them are applied, so that gRPC's threads read several at a time and the cache's thread seldom
//                   starts a read
//   applying        one batch at a time is with the engine, acknowledged when applied
//   durable         each applied batch waits in `undurable_` until its transaction is durable; one lazy wait for the
//                   oldest is always out, and a starting one for every batch that asks to be durable
//   answering       one message is in flight; acknowledgements gather in `answer_` meanwhile, and while more batches
//                   wait behind the one that is with the engine, up to kAcksWorthAMessage of them
//   ending          after the half-close, when everything is applied and durable, or at the first error; whatever was
//                   gathered is written before the status
//
// The engine's callbacks and gRPC's reactions note what happened under one mutex and call Proceed.  One thread at a
// time decides what follows and does it, outside of the mutex, so no operation can be started after Finish, and two
// batches cannot overtake each other.  The object lives until gRPC and every callback let go of it.
#ifndef DMCACHED_SERVER_MUTATE_STREAM_H_
#define DMCACHED_SERVER_MUTATE_STREAM_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/mutex.h"
#include "core/cache/engine.h"
#include "dmcached/v1/metadata_service.pb.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/authorization.h"
#include "server/convert.h"
#include "server/rpc_metrics.h"

namespace dmcached {

class MutateStream final : public grpc::ServerBidiReactor<v1::MutateRequest, v1::MutateResponse> {
 public:
  // `engine` and `authorization` outlive the stream; `context` is gRPC's.
  MutateStream(Engine& engine, const Authorization& authorization, grpc::CallbackServerContext& context,
               CountedRpc rpc);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

 private:
  static constexpr size_t kReadAhead = 16;
  static constexpr int kAcksWorthAMessage = 8;
  // Acknowledgements kept for a client that does not read them; then nothing more is applied.
  static constexpr int kMaxGathered = 4096;

  // A batch with its message, which the engine's spans point into.
  struct Batch {
    std::unique_ptr<v1::MutateRequest> message;
    uint64_t number = 0;
    bool durable = false;
    absl::StatusOr<MutationCall> call;  // A form error counts as the batch's own: stop_on_error decides.
  };
  struct Undurable {
    uint64_t batch = 0;
    uint64_t transaction = 0;  // 0: refused, so nothing of it has to become durable.
  };
  struct Wait {
    uint64_t incarnation = 0;
    uint64_t transaction = 0;
    bool start_commit = false;
  };
  // What follows from the state, to be done outside the mutex.
  struct Actions {
    Batch* apply = nullptr;
    bool read = false;
    std::optional<Wait> wait;
    bool write = false;
    std::optional<grpc::Status> finish;
  };

  ~MutateStream() override = default;

  // Queues what was read.  Errors (role, cache, batch number) end the stream, whatever stop_on_error says.
  absl::Status Accept(std::unique_ptr<v1::MutateRequest> message) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Drops the batches that are not with the engine yet.
  void DropQueued() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Notes that the stream ends with `status`.
  void Fail(grpc::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Notes how the front batch went.
  void RecordApplied(const MutationResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RecordRefused(const absl::Status& error) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves durable_through over everything up to `durable_transaction`.
  void AdvanceDurable(uint64_t durable_transaction) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // `batch` is the front one.
  void OnApplied(const Batch& batch, const absl::StatusOr<MutationResult>& result);
  void OnDurable(const absl::StatusOr<uint64_t>& durable);

  // Acts on the state until nothing more follows, unless another thread is at it, which then goes on.
  void Proceed();
  Actions Decide() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DecideRead(Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DecideWait(Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void DecideAnswer(Actions& actions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether what has gathered is left for a later message: more follows at once.
  bool MayGather() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Act(Actions actions);
  void Unref();

  Engine& engine_;
  const Authorization& authorization_;
  grpc::CallbackServerContext& context_;  // Gone some time after Finish.
  const Caller caller_;

  Mutex mutex_;
  CountedRpc rpc_ ABSL_GUARDED_BY(mutex_);
  int references_ ABSL_GUARDED_BY(mutex_) = 1;  // gRPC's; one more for each callback that is out.
  std::string cache_;                           // Set with the first message, constant before anything else is done.
  bool stop_on_error_ ABSL_GUARDED_BY(mutex_) = true;
  bool first_ ABSL_GUARDED_BY(mutex_) = true;
  uint64_t last_batch_ ABSL_GUARDED_BY(mutex_) = 0;

  std::unique_ptr<v1::MutateRequest> incoming_;  // Belongs to the read that is out.
  bool reading_ ABSL_GUARDED_BY(mutex_) = false;
  bool holding_back_ ABSL_GUARDED_BY(mutex_) = false;  // Since kReadAhead batches were read.
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;

  std::deque<Batch> batches_ ABSL_GUARDED_BY(mutex_);  // The front one may be with the engine.
  bool applying_ ABSL_GUARDED_BY(mutex_) = false;

  std::deque<Undurable> undurable_ ABSL_GUARDED_BY(mutex_);
  uint64_t incarnation_ ABSL_GUARDED_BY(mutex_) = 0;    // Of the last applied batch.
  uint64_t waited_for_ ABSL_GUARDED_BY(mutex_) = 0;     // Largest transaction that a wait was sent for.
  uint64_t commit_wanted_ ABSL_GUARDED_BY(mutex_) = 0;  // Largest transaction that somebody waits for.
  uint64_t commit_started_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_through_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t durable_transaction_ ABSL_GUARDED_BY(mutex_) = 0;

  v1::MutateResponse answer_ ABSL_GUARDED_BY(mutex_);
  bool answer_changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool durability_changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool final_written_ ABSL_GUARDED_BY(mutex_) = false;
  v1::MutateResponse outgoing_;  // Belongs to the write that is in flight.
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;

  std::optional<grpc::Status> error_ ABSL_GUARDED_BY(mutex_);
  bool broken_ ABSL_GUARDED_BY(mutex_) = false;  // The client is gone: nothing is written any more.
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;

  bool acting_ ABSL_GUARDED_BY(mutex_) = false;  // A thread is in Proceed ...
  bool again_ ABSL_GUARDED_BY(mutex_) = false;   // ... and something happened since it decided.
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_MUTATE_STREAM_H_
