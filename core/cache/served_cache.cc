#include "core/cache/served_cache.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/status.h"

namespace dmcached {

ServedCache::ServedCache(const CacheEnvironment& environment, std::string name, SerialPair executors)
    : environment_(environment),
      name_(std::move(name)),
      counters_(std::make_shared<CacheCounters>()),
      limit_(environment.options.max_queued_requests, environment.options.max_queued_bytes),
      stop_(std::make_shared<std::atomic<bool>>(false)),
      queue_(std::move(executors.first)),
      writer_(std::move(executors.second)) {
  MutexLock lock(mutex_);
  PublishMetrics();
}

ServedCache::~ServedCache() {
  admission_->Close();
  // Whatever is queued still runs; nothing of it may change or start anything.
  Answers answers;
  MutexLock lock(mutex_);
  if (metadata_ == nullptr) return;
  Fail(MakeError(Reason::kShuttingDown, absl::StrCat("cache ", name_, " was not closed")), answers);
}

void ServedCache::Enqueue(Task task) {
  const bool taken = queue_->Schedule(std::move(task));
  DMCACHED_CHECK(taken);  // Serial executors are unbounded.
}

absl::Status ServedCache::Overloaded() const {
  return MakeError(Reason::kOverloaded, absl::StrCat("cache ", name_, " has as many requests waiting as it takes, ",
                                                     environment_.options.max_queued_requests, " or ",
                                                     environment_.options.max_queued_bytes, " bytes"));
}

absl::Status ServedCache::CallerIsGone() { return absl::CancelledError("the caller is gone; nothing was done"); }

absl::Status ServedCache::CheckServing() const {
  switch (state_) {
    case CacheState::kOpen:
    case CacheState::kReadOnly:
    case CacheState::kNeedsCheck:
      return absl::OkStatus();
    case CacheState::kFailed:
      return MakeError(Reason::kCacheFailed, absl::StrCat("cache ", name_, " has failed: ", failure_.message()));
    case CacheState::kOpening:
    case CacheState::kClosing:
      break;
  }
  return NotOpen(name_);
}

absl::Status ServedCache::NotOpen(const std::string& name) {
  return MakeError(Reason::kCacheNotOpen, absl::StrCat("cache ", name, " is not open"));
}

absl::Status ServedCache::CheckWritable() const {
  DMCACHED_RETURN_IF_ERROR(CheckServing());
  if (state_ == CacheState::kReadOnly) {
    return MakeError(Reason::kReadOnly, absl::StrCat("cache ", name_, " is open read-only"));
  }
  if (state_ == CacheState::kNeedsCheck) {
    return MakeError(Reason::kNeedsCheck, absl::StrCat("cache ", name_, " needs a check: ", failure_.message()));
  }
  return absl::OkStatus();
}

void ServedCache::UpdateGauges() {
  metadata_->UpdateGauges();
  counters_->pending_mutations.store(applied_running_ + applied_writing_);
  if (metadata_->dirty_blocks() == 0) {
    counters_->dirty_since_seconds.store(0);
  } else if (counters_->dirty_since_seconds.load() == 0) {
    counters_->dirty_since_seconds.store(WallSeconds());
  }
}

double ServedCache::WallSeconds() const { return std::chrono::duration<double>(environment_.clock.Wall()).count(); }

void ServedCache::Tick() {
  std::vector<std::shared_ptr<SnapshotReader>> readers;
  {
    MutexLock lock(mutex_);
    const Duration now = Now();
    reservations_.Expire(now);
    request_ids_.Trim(now);
    for (const auto& snapshot : snapshots_) {
      if (auto reader = snapshot.lock()) readers.push_back(std::move(reader));
    }
    const bool due = changed_since_.has_value() && now - *changed_since_ >= environment_.options.commit_interval;
    if (due && CheckServing().ok()) RequestCommit(CommitTrigger::kTimer);
  }
  for (const auto& reader : readers) reader->DetachIfIdle();
  readers.clear();
  MutexLock lock(mutex_);
  if (metadata_ == nullptr) return;
  // Also without readers: one that has just gone may not have let go of its snapshot yet.
  counters_->snapshots.store(metadata_->store().PruneSnapshots());
  CountRevoked();
}

bool ServedCache::RecoveryIsDue() const {
  MutexLock lock(mutex_);
  return state_ == CacheState::kFailed && recover_at_.has_value() && Now() >= *recover_at_;
}

CacheState ServedCache::state() const {
  MutexLock lock(metrics_mutex_);
  return metrics_.state;
}

bool ServedCache::was_open() const { return was_open_; }

std::string ServedCache::metadata_path() const {
  MutexLock lock(mutex_);
  return options_.metadata_path;
}

CacheInfo ServedCache::Info() const {
  MutexLock lock(mutex_);
  CacheInfo info = last_info_;
  if (metadata_ != nullptr) {
    metadata_->Describe(info);
    info.superblock.clean_shutdown = metadata_->store().durable_superblock().clean_shutdown;
    info.transaction = metadata_->transaction();
    info.durable_transaction = metadata_->durable_transaction();
    info.uncommitted_changes = metadata_->changed() || writing_ != nullptr;
    info.snapshots = static_cast<uint32_t>(metadata_->store().PruneSnapshots());
    info.reserved_blocks = static_cast<uint32_t>(reservations_.held());
    info.free_blocks = metadata_->free_cblocks() - std::min(metadata_->free_cblocks(), info.reserved_blocks);
  }
  info.name = name_;
  info.state = state_;
  info.metadata_path = options_.metadata_path;
  info.fast_path = options_.fast_path;
  info.origin_path = options_.origin_path;
  info.dirty_tracking = tracking();
  info.incarnation = incarnation_;
  info.revision = revision_;
  info.last_error = failure_.ok() ? std::string() : std::string(failure_.message());
  if (device_ != nullptr) {
    info.metadata_device_bytes = device_->size_bytes();
    info.direct_io = device_->direct_io();
  }
  if (fast_ != nullptr) info.fast_size = Sectors(fast_->size_bytes() / kSectorBytes);
  return info;
}

void ServedCache::SetState(CacheState state) {
  state_ = state;
  PublishMetrics();
}

void ServedCache::PublishMetrics() {
  CacheMetrics metrics;
  metrics.name = name_;
  metrics.counters = counters_;
  metrics.state = state_;
  metrics.dirty_tracking = tracking();
  const Superblock& superblock = metadata_ != nullptr ? metadata_->superblock() : last_info_.superblock;
  metrics.policy = superblock.policy_name;
  metrics.metadata_version = superblock.version;
  if (device_ != nullptr) metrics.devices["metadata"] = device_->shared_stats();
  if (fast_ != nullptr) metrics.devices["fast"] = fast_->shared_stats();
  if (origin_ != nullptr) metrics.devices["origin"] = origin_->shared_stats();
  MutexLock lock(metrics_mutex_);
  metrics_ = std::move(metrics);
}

CacheMetrics ServedCache::Metrics() const {
  MutexLock lock(metrics_mutex_);
  return metrics_;
}

}  // namespace dmcached
