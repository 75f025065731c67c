// ServedCache: creating, opening, recovering and closing.  All of it runs on the queue.
#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/aligned_buffer.h"
#include "core/base/status.h"
#include "core/cache/geometry.h"
#include "core/cache/served_cache.h"

namespace dmcached {
namespace {

Sectors SizeOf(const BlockDevice& device) { return Sectors(device.size_bytes() / kSectorBytes); }

absl::Status TooLarge(absl::string_view what, uint64_t wanted, const BlockDevice& device) {
  return MakeError(Reason::kGeometryMismatch, absl::StrCat(what, " of ", wanted, " sectors on ", device.name(),
                                                           ": it has only ", SizeOf(device).value()));
}

// What `asked` says, and for the rest what was said before.
OpenOptions Overlay(OpenOptions options, const OpenOptions& asked) {
  options.read_only = options.read_only || asked.read_only;
  options.assume_unclean = asked.assume_unclean;
  options.old_callers_gone = asked.old_callers_gone;
  if (asked.dirty_tracking.has_value()) options.dirty_tracking = asked.dirty_tracking;
  if (!asked.fast_path.empty()) options.fast_path = asked.fast_path;
  if (!asked.origin_path.empty()) options.origin_path = asked.origin_path;
  if (!asked.expected_identity.empty()) options.expected_identity = asked.expected_identity;
  if (asked.expected_block_size.value() != 0) options.expected_block_size = asked.expected_block_size;
  if (asked.origin_size.has_value()) options.origin_size = asked.origin_size;
  return options;
}

}  // namespace

absl::StatusOr<std::shared_ptr<BlockDevice>> ServedCache::OpenDevice(const std::string& path, bool read_only,
                                                                     bool allocate) {
  if (path.empty()) return nullptr;
  DMCACHED_ASSIGN_OR_RETURN(
      std::unique_ptr<BlockDevice> device,
      environment_.opener(
          {.path = path, .read_only = read_only, .exclusive = true, .cached = false, .allocate = allocate}));
  return std::shared_ptr<BlockDevice>(std::move(device));
}

absl::Status ServedCache::OpenDevices(bool allocate) {
  OpenOptions options;
  {
    MutexLock lock(mutex_);
    options = options_;
  }
  DMCACHED_ASSIGN_OR_RETURN(auto device,
                            OpenDevice(options.metadata_path, options.read_only, allocate && !options.read_only));
  DMCACHED_ASSIGN_OR_RETURN(auto fast, OpenDevice(options.fast_path, options.read_only, false));
  DMCACHED_ASSIGN_OR_RETURN(auto origin, OpenDevice(options.origin_path, options.read_only, false));
  MutexLock lock(mutex_);
  device_ = std::move(device);
  fast_ = std::move(fast);
  origin_ = std::move(origin);
  PublishMetrics();
  return absl::OkStatus();
}

void ServedCache::CloseDevices() {
  MutexLock lock(mutex_);
  device_.reset();
  fast_.reset();
  origin_.reset();
  PublishMetrics();
}

void ServedCache::Create(CreateOptions options, Callback<absl::StatusOr<CacheInfo>> done) {
  Enqueue([this, options = std::move(options), done = std::move(done)]() mutable {
    {
      MutexLock lock(mutex_);
      options_ = {.name = options.name,
                  .metadata_path = options.metadata_path,
                  .dirty_tracking = options.dirty_tracking,
                  .fast_path = options.fast_path,
                  .origin_path = options.origin_path,
                  .expected_identity = options.identity,
                  .expected_block_size = options.data_block_size,
                  .origin_size = options.origin_size};
    }
    absl::Status created = OpenDevices(/*allocate=*/!options.validate_only);
    if (created.ok()) created = RunCreate(options);
    if (!created.ok() || options.validate_only) CloseDevices();
    std::move(done)(created.ok() ? absl::StatusOr<CacheInfo>(Info()) : created);
  });
}

absl::StatusOr<FormatParams> ServedCache::PlanFormat(const CreateOptions& options) const {
  DMCACHED_RETURN_IF_ERROR(CheckDataBlockSize(options.data_block_size));
  MutexLock lock(mutex_);
  const uint64_t block_size = options.data_block_size.value();
  uint64_t cache_blocks = options.cache_blocks.value_or(0);
  if (fast_ != nullptr) {
    const uint64_t fits = SizeOf(*fast_).value() / block_size;
    if (!options.cache_blocks.has_value()) cache_blocks = fits;
    if (cache_blocks > fits) return TooLarge("a cache", cache_blocks * block_size, *fast_);
  }
  if (cache_blocks > std::numeric_limits<uint32_t>::max()) {
    return MakeError(Reason::kInvalidRequest,
                     absl::StrCat("create a cache of ", cache_blocks, " blocks: they are counted in 32 bits"));
  }
  Sectors origin_size = options.origin_size.value_or(Sectors(0));
  if (origin_ != nullptr) {
    if (!options.origin_size.has_value()) origin_size = SizeOf(*origin_);
    DMCACHED_RETURN_IF_ERROR(CheckOriginFits(origin_size));
  }
  return FormatParams{.version = options.version,
                      .data_block_size = options.data_block_size,
                      .cache_blocks = static_cast<uint32_t>(cache_blocks),
                      .origin_size = origin_size,
                      .policy_name = options.policy_name,
                      .identity = options.identity,
                      .dirty_tracking = options.dirty_tracking,
                      .block_cache_bytes = environment_.options.block_cache_bytes,
                      .fast_size = fast_ == nullptr ? Sectors(0) : SizeOf(*fast_),
                      .force = options.force};
}

absl::Status ServedCache::CheckOriginFits(Sectors size) const {
  if (origin_ == nullptr || size <= SizeOf(*origin_)) return absl::OkStatus();
  return TooLarge("an origin", size.value(), *origin_);
}

absl::Status ServedCache::RunCreate(const CreateOptions& options) {
  DMCACHED_ASSIGN_OR_RETURN(const FormatParams params, PlanFormat(options));
  std::shared_ptr<BlockDevice> device;
  {
    MutexLock lock(mutex_);
    device = device_;
  }
  if (options.validate_only) return CacheMetadata::CheckFormat(*device, params);
  DMCACHED_ASSIGN_OR_RETURN(std::unique_ptr<CacheMetadata> metadata,
                            CacheMetadata::Format(std::move(device), params, counters_));
  Install(std::move(metadata));
  return absl::OkStatus();
}

void ServedCache::Open(OpenOptions options, Callback<absl::StatusOr<OpenResult>> done) {
  Enqueue([this, options = std::move(options), done = std::move(done)]() mutable {
    OpenOptions before;
    {
      MutexLock lock(mutex_);
      before = options_;
      options_ = options.metadata_path.empty() ? Overlay(before, options) : std::move(options);
      SetState(CacheState::kOpening);
      failure_ = absl::OkStatus();
      reservations_.HoldOff(options_.old_callers_gone ? Duration{0} : Now() + environment_.options.max_reservation_ttl);
    }
    absl::Status opened = OpenDevices(/*allocate=*/true);
    if (opened.ok()) opened = OpenMetadata();
    if (!opened.ok()) {
      CloseDevices();
      MutexLock lock(mutex_);
      if (!before.metadata_path.empty()) options_ = std::move(before);
      SetState(CacheState::kFailed);
      failure_ = opened;
    }
    std::move(done)(Opened(opened));
  });
}

absl::StatusOr<OpenResult> ServedCache::Opened(const absl::Status& status) const {
  DMCACHED_RETURN_IF_ERROR(status);
  OpenResult result{.info = Info(), .adopted = false};
  MutexLock lock(mutex_);
  result.adopted = metadata_->adopted();
  return result;
}

absl::Status ServedCache::OpenMetadata() {
  OpenParams params;
  std::shared_ptr<BlockDevice> device;
  {
    MutexLock lock(mutex_);
    device = device_;
    params = {.read_only = options_.read_only,
              .assume_unclean = options_.assume_unclean,
              .dirty_tracking = tracking(),
              .expected_identity = options_.expected_identity,
              .expected_block_size = options_.expected_block_size,
              .origin_size = options_.origin_size,
              .fast_size = {},
              .block_cache_bytes = environment_.options.block_cache_bytes,
              .executor = &environment_.readers};
    if (origin_ != nullptr) {
      if (!params.origin_size.has_value()) params.origin_size = SizeOf(*origin_);
      DMCACHED_RETURN_IF_ERROR(CheckOriginFits(*params.origin_size));
    }
    if (fast_ != nullptr) params.fast_size = SizeOf(*fast_);
  }
  DMCACHED_ASSIGN_OR_RETURN(std::unique_ptr<CacheMetadata> metadata,
                            CacheMetadata::Open(std::move(device), params, counters_));
  Install(std::move(metadata));
  return absl::OkStatus();
}

void ServedCache::Install(std::unique_ptr<CacheMetadata> metadata) {
  MutexLock lock(mutex_);
  metadata_ = std::move(metadata);
  SetState(options_.read_only ? CacheState::kReadOnly : CacheState::kOpen);
  failure_ = absl::OkStatus();
  was_open_ = true;
  incarnation_ = environment_.random();
  revision_ = 0;
  last_insert_ = 0;
  origin_resized_ = 0;
  applied_running_ = 0;
  stop_ = std::make_shared<std::atomic<bool>>(false);
  recover_at_.reset();
  // Said once: what is found next time is this cache's own doing.
  options_.assume_unclean = false;
  counters_->opened_seconds.store(WallSeconds());
  counters_->dirty_since_seconds.store(0);
  UpdateGauges();
}

void ServedCache::Recover(OpenOptions asked, Callback<absl::StatusOr<OpenResult>> done) {
  Enqueue([this, asked = std::move(asked), done = std::move(done)]() mutable {
    // Reservations and request ids are kept, so it must be the same metadata.
    if (!asked.metadata_path.empty() && asked.metadata_path != metadata_path()) {
      return std::move(done)(MakeError(Reason::kInvalidRequest,
                                       absl::StrCat("recover cache ", name_, " from ", asked.metadata_path,
                                                    ": it was opened from ", metadata_path(), "; close it first")));
    }
    WhenWriterStopped(
        [this, asked = std::move(asked), done = std::move(done)]() mutable { RunRecover(asked, std::move(done)); });
  });
}

void ServedCache::RunRecover(const OpenOptions& asked, Callback<absl::StatusOr<OpenResult>> done) {
  DropMetadata();
  // The device may have come back as another one under the same path.
  CloseDevices();
  OpenOptions before;
  {
    MutexLock lock(mutex_);
    before = options_;
    options_ = Overlay(before, asked);
    if (asked.old_callers_gone) {
      reservations_.DropAll();
      reservations_.HoldOff(Duration{0});
    }
  }
  absl::Status opened = OpenDevices(/*allocate=*/true);
  if (opened.ok()) opened = OpenMetadata();
  if (!opened.ok()) {
    CloseDevices();
    MutexLock lock(mutex_);
    options_ = std::move(before);
    failure_ = WithContext(opened, "recover");
    DelayRecovery();
  }
  std::move(done)(Opened(opened));
}

void ServedCache::WhenWriterStopped(Task task) {
  MutexLock lock(mutex_);
  stop_->store(true);
  if (writing_ == nullptr) return Enqueue(std::move(task));
  when_writer_stopped_.push_back(std::move(task));
}

void ServedCache::DropMetadata() {
  EndSnapshots();
  if (metadata_ != nullptr) {
    CacheInfo info = Info();
    MutexLock lock(mutex_);
    last_info_ = std::move(info);
  }
  MutexLock lock(mutex_);
  while (lookups_ != 0) lookups_done_.Wait(mutex_);
  metadata_.reset();
  counters_->snapshots.store(0);
}

void ServedCache::Close(CacheEnding how, Callback<absl::Status> done) {
  Enqueue([this, how, done = std::move(done)]() mutable { RunClose(how, std::move(done)); });
}

absl::Status ServedCache::CheckClose(const CacheEnding& how) const {
  if (state_ == CacheState::kFailed && !how.discard_uncommitted) {
    return MakeError(Reason::kCacheFailed,
                     absl::StrCat("close cache ", name_, ": it has failed: ", failure_.message()));
  }
  if (how.wipe && state_ != CacheState::kOpen && state_ != CacheState::kNeedsCheck) {
    const Reason reason = state_ == CacheState::kReadOnly ? Reason::kReadOnly : Reason::kCacheFailed;
    return MakeError(reason, absl::StrCat("wipe cache ", name_, ": it is not open for writing"));
  }
  if (how.require_no_dirty && metadata_ != nullptr && metadata_->dirty_blocks() != 0) {
    return MakeError(Reason::kDirtyBlocks, absl::StrCat("close cache ", name_, ": ", metadata_->dirty_blocks(),
                                                        " of its mappings are dirty"));
  }
  return absl::OkStatus();
}

void ServedCache::RunClose(CacheEnding how, Callback<absl::Status> done) {
  Answers answers;
  MutexLock lock(mutex_);
  if (!parked_.empty() || requeued_ != 0) {
    Task again = [this, how, done = std::move(done)]() mutable { RunClose(how, std::move(done)); };
    // Behind those that are in the queue again.
    if (parked_.empty()) return Enqueue(std::move(again));
    when_unparked_.push_back(std::move(again));
    return;
  }
  if (absl::Status refused = CheckClose(how); !refused.ok()) return answers.Add(std::move(done), std::move(refused));
  const CacheState before = state_;
  SetState(CacheState::kClosing);
  if (before != CacheState::kOpen && before != CacheState::kNeedsCheck) {
    return Enqueue([this, how, done = std::move(done)]() mutable {
      WhenWriterStopped([this, how, done = std::move(done)]() mutable { FinishClose(how, std::move(done)); });
    });
  }
  uint64_t until = StateTransaction();
  if (before == CacheState::kOpen) {
    if (!metadata_->newest_commit_is_clean()) until = metadata_->transaction();
    clean_wanted_ = true;
  }
  Await(
      until, CommitTrigger::kClose,
      [this, how, done = std::move(done)](const absl::StatusOr<uint64_t>& durable) mutable {
        if (durable.ok()) {
          return Enqueue([this, how, done = std::move(done)]() mutable { FinishClose(how, std::move(done)); });
        }
        // Fail has run, or will before the mutex is free again.
        absl::Status failure = durable.status();
        {
          MutexLock again(mutex_);
          if (!failure_.ok()) failure = WithContext(failure_, absl::StrCat("close cache ", name_));
        }
        std::move(done)(std::move(failure));
      },
      answers);
}

void ServedCache::FinishClose(CacheEnding how, Callback<absl::Status> done) {
  if (how.wipe) {
    if (absl::Status wiped = Wipe(); !wiped.ok()) {
      Answers answers;
      MutexLock lock(mutex_);
      Fail(wiped, answers);
      return answers.Add(std::move(done), std::move(wiped));
    }
  }
  DropMetadata();
  CloseDevices();
  std::move(done)(absl::OkStatus());
}

absl::Status ServedCache::Wipe() {
  BlockDevice& device = *metadata_->device();
  const AlignedBuffer zeros(kMetadataBlockBytes);
  DMCACHED_RETURN_IF_ERROR(device.Write(0, zeros.span()));
  return device.Flush();
}

}  // namespace dmcached
