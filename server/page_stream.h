// What the list streams share: the steps from the snapshot to the last page.
#ifndef DMCACHED_SERVER_PAGE_STREAM_H_
#define DMCACHED_SERVER_PAGE_STREAM_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/base/executor.h"
#include "core/base/status.h"
#include "core/cache/cache_snapshot.h"
#include "core/cache/engine.h"
#include "grpcpp/server_context.h"
#include "grpcpp/support/server_callback.h"
#include "server/convert.h"
#include "server/status_util.h"
#include "server/unary.h"

namespace dmcached {

enum class PageKind { kEmpty, kFull, kLast };

// One step at a time: snapshot, then (read, write)*, then Finish.  Whatever step is under way when the client cancels
// ends as usual and finds the cancellation, so `this` outlives every task and callback that names it.
template <typename Response>
class PageStream : public grpc::ServerWriteReactor<Response> {
 public:
  PageStream(Engine& engine, Executor& readers, grpc::CallbackServerContext& context)
      : engine_(engine), readers_(readers), context_(context) {}

  void OnWriteDone(bool ok) override {
    if (!ok) return End(CallerGoneStatus());
    ScheduleRead();
  }
  // The step under way sees that the context is cancelled.
  void OnCancel() override {}
  void OnDone() override { delete this; }

 protected:
  // Exactly one of these is called, last, by the constructor of a derived class.
  void Refuse(const absl::Status& status) { End(ToGrpcStatus(status)); }
  void Start(const std::string& cache) {
    if (const absl::Status named = CheckCacheName(cache); !named.ok()) return Refuse(named);
    engine_.TakeSnapshot(cache, [this](absl::StatusOr<std::shared_ptr<CacheSnapshot>> snapshot) {
      if (!snapshot.ok()) return End(ToGrpcStatus(snapshot.status()));
      snapshot_ = *std::move(snapshot);
      ScheduleRead();
    });
  }

  // Reads the next page into `message`, which is empty, and moves on.  Blocks.
  virtual absl::StatusOr<PageKind> ReadPage(CacheSnapshot& snapshot, Response* message) = 0;

  static PageKind KindOf(bool empty, bool more) {
    if (!more) return PageKind::kLast;
    return empty ? PageKind::kEmpty : PageKind::kFull;
  }

 private:
  void ScheduleRead() {
    if (!readers_.Schedule([this] { Read(); })) {
      End(ToGrpcStatus(MakeError(Reason::kOverloaded, "the queue of reads is full; go on from the last cursor")));
    }
  }

  void Read() {
    while (true) {
      if (CallerIsGone(context_)) return End(CallerGoneStatus());
      message_.Clear();
      const absl::StatusOr<PageKind> kind = StopExceptions([this] { return ReadPage(*snapshot_, &message_); });
      if (!kind.ok()) return End(ToGrpcStatus(kind.status()));
      if (*kind == PageKind::kFull) return this->StartWrite(&message_);
      if (*kind == PageKind::kLast) {
        snapshot_.reset();
        // Also written when it is empty: it says of which transaction the list was.
        return this->StartWriteAndFinish(&message_, grpc::WriteOptions(), grpc::Status::OK);
      }
      // A filter that lets little through would keep a thread for the whole array: others have their turn in between.
      if (readers_.Schedule([this] { Read(); })) return;
    }
  }

  void End(const grpc::Status& status) {
    // Before Finish, after which `this` may be gone.
    snapshot_.reset();
    this->Finish(status);
  }

  Engine& engine_;
  Executor& readers_;
  grpc::CallbackServerContext& context_;
  std::shared_ptr<CacheSnapshot> snapshot_;
  Response message_;
};

}  // namespace dmcached

#endif  // DMCACHED_SERVER_PAGE_STREAM_H_
