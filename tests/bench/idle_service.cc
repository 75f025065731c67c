#include "tests/bench/idle_service.h"

#include "core/base/ids.h"
#include "core/base/mutex.h"
#include "core/cache/origin_index.h"

namespace dmcached::bench {
namespace {

// Acknowledgements gather while one answer is on its way, as the daemon's do; one message serves for all reads.
class AckStream final : public grpc::ServerBidiReactor<v1::MutateRequest, v1::MutateResponse> {
 public:
  explicit AckStream(const HugeMemory& memory) : memory_(memory) { StartRead(&incoming_); }

  void OnReadDone(bool ok) override {
    if (ok && memory_.size_bytes() > 0) ReadLines();
    {
      MutexLock lock(mutex_);
      if (ok && incoming_.batch() != 0) {
        answer_.add_applied()->set_batch(incoming_.batch());
        answer_.set_durable_through(incoming_.batch());
        changed_ = true;
      }
      half_closed_ = !ok;
      Proceed();
    }
    if (ok) StartRead(&incoming_);
  }
  void OnWriteDone(bool /*ok*/) override {
    MutexLock lock(mutex_);
    writing_ = false;
    Proceed();
  }
  void OnDone() override { delete this; }

 private:
  void ReadLines() {
    constexpr uint64_t kLineBytes = 64;
    const uint64_t lines = memory_.size_bytes() / kLineBytes;
    for (const uint64_t oblock : incoming_.insert_mappings().oblocks()) {
      const uint64_t line = (OriginIndex::Hash(Oblock(oblock)) >> 32) * lines >> 32;
      read_ = read_ ^ static_cast<unsigned char>(memory_.data()[line * kLineBytes]);
    }
  }
  void Proceed() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (writing_) return;
    if (changed_) {
      outgoing_.Swap(&answer_);
      answer_.Clear();
      changed_ = false;
      writing_ = true;
      StartWrite(&outgoing_);
    } else if (half_closed_) {
      Finish(grpc::Status::OK);
    }
  }

  const HugeMemory& memory_;
  volatile unsigned char read_ = 0;
  Mutex mutex_;
  v1::MutateRequest incoming_;  // Belongs to the read that is out.
  v1::MutateResponse outgoing_;
  v1::MutateResponse answer_ ABSL_GUARDED_BY(mutex_);
  bool changed_ ABSL_GUARDED_BY(mutex_) = false;
  bool writing_ ABSL_GUARDED_BY(mutex_) = false;
  bool half_closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace

grpc::ServerUnaryReactor* IdleService::LookupMappings(grpc::CallbackServerContext* context,
                                                      const v1::LookupMappingsRequest* /*request*/,
                                                      v1::LookupMappingsResponse* /*response*/) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerBidiReactor<v1::MutateRequest, v1::MutateResponse>* IdleService::Mutate(
    grpc::CallbackServerContext* /*context*/) {
  return new AckStream(memory_);
}

}  // namespace dmcached::bench
