#include "tests/support/faulty_device.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/base/ids.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

constexpr size_t kSector = kSectorBytes;

template <typename Buffers>
uint64_t TotalBytes(Buffers buffers) {
  uint64_t total = 0;
  for (const auto& buffer : buffers) total += buffer.size();
  return total;
}

void CopySector(const std::vector<std::byte>& data, size_t sector, uint64_t offset_bytes,
                std::vector<std::byte>& image) {
  std::copy_n(data.begin() + static_cast<std::ptrdiff_t>(sector * kSector), kSector,
              image.begin() + static_cast<std::ptrdiff_t>(offset_bytes + sector * kSector));
}

}  // namespace

FaultyDevice::FaultyDevice(std::span<const std::byte> image, FaultOptions options, const Clock* clock)
    : BlockDevice("faulty", clock),
      options_(std::move(options)),
      current_(image.size()),
      durable_(image.begin(), image.end()) {
  std::copy(image.begin(), image.end(), current_.data());
}

FaultyDevice::FaultyDevice(uint64_t size_bytes, FaultOptions options, const Clock* clock)
    : BlockDevice("faulty", clock), options_(std::move(options)), current_(size_bytes), durable_(size_bytes) {}

void FaultyDevice::SetFaults(FaultOptions options) {
  MutexLock lock(mutex_);
  options_ = std::move(options);
}

uint64_t FaultyDevice::reads() const {
  MutexLock lock(mutex_);
  return reads_;
}

uint64_t FaultyDevice::writes() const {
  MutexLock lock(mutex_);
  return writes_;
}

uint64_t FaultyDevice::flushes() const {
  MutexLock lock(mutex_);
  return flushes_;
}

bool FaultyDevice::power_is_cut() const {
  MutexLock lock(mutex_);
  return power_is_cut_;
}

std::vector<std::byte> FaultyDevice::Image() const {
  MutexLock lock(mutex_);
  return {current_.data(), current_.data() + current_.size()};
}

std::vector<std::byte> FaultyDevice::CrashImage(uint64_t seed) const {
  MutexLock lock(mutex_);
  std::vector<std::byte> image = durable_;
  if (seed == 0) return image;
  if (seed == 1) return {current_.data(), current_.data() + current_.size()};
  Random random(seed);
  for (const Pending& write : pending_) ApplyTorn(write, random, image);
  return image;
}

void FaultyDevice::ApplyTorn(const Pending& write, Random& random, std::vector<std::byte>& image) {
  enum { kMissing, kWhole, kTorn };
  const uint64_t fate = random.Below(3);
  for (size_t sector = 0; sector < write.superseded.size(); ++sector) {
    const bool survives = fate == kWhole || (fate == kTorn && random.OneIn(2));
    if (survives && !write.superseded[sector]) CopySector(write.data, sector, write.offset_bytes, image);
  }
}

bool FaultyDevice::TouchesBlock(const std::set<uint64_t>& blocks, uint64_t offset_bytes, uint64_t length_bytes) const {
  const auto first = blocks.lower_bound(offset_bytes / kMetadataBlockBytes);
  return first != blocks.end() && *first * kMetadataBlockBytes < offset_bytes + length_bytes;
}

absl::Status FaultyDevice::Failure(const char* what) const {
  return MakeError(Reason::kIoError, absl::StrCat(name(), ": injected failure of a ", what), EIO);
}

absl::Status FaultyDevice::DoReadV(uint64_t offset_bytes, ReadBuffers buffers) {
  MutexLock lock(mutex_);
  const uint64_t number = reads_++;
  if (power_is_cut_ || number == options_.fail_read ||
      TouchesBlock(options_.fail_read_blocks, offset_bytes, TotalBytes(buffers))) {
    return Failure("read");
  }
  const std::byte* from = current_.data() + offset_bytes;
  for (std::span<std::byte> buffer : buffers) {
    std::copy_n(from, buffer.size(), buffer.data());
    from += buffer.size();
  }
  return absl::OkStatus();
}

absl::Status FaultyDevice::DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) {
  MutexLock lock(mutex_);
  if (power_is_cut_) return Failure("write");
  const uint64_t number = writes_++;
  if (number == options_.no_space_write) {
    return MakeError(Reason::kMetadataNoSpace, absl::StrCat(name(), ": injected lack of space"), ENOSPC);
  }
  std::vector<std::byte> data;
  data.reserve(TotalBytes(buffers));
  for (std::span<const std::byte> buffer : buffers) data.insert(data.end(), buffer.begin(), buffer.end());

  power_is_cut_ = options_.power_cut_after.has_value() && number >= *options_.power_cut_after;
  const bool fails = power_is_cut_ || number == options_.fail_write ||
                     TouchesBlock(options_.fail_write_blocks, offset_bytes, data.size());
  if (!fails) std::copy(data.begin(), data.end(), current_.data() + offset_bytes);
  AddPending(offset_bytes, std::move(data), fails);
  return fails ? Failure("write") : absl::OkStatus();
}

absl::Status FaultyDevice::DoFlush() {
  MutexLock lock(mutex_);
  if (power_is_cut_) return Failure("flush");
  const uint64_t number = flushes_++;
  if (number == options_.power_cut_at_flush) {
    power_is_cut_ = true;
    return Failure("flush");
  }
  if (number == options_.fail_flush) {
    for (Pending& write : pending_) write.doubtful = true;
    return Failure("flush");
  }
  MakeDurable();
  return absl::OkStatus();
}

void FaultyDevice::AddPending(uint64_t offset_bytes, std::vector<std::byte> data, bool doubtful) {
  const size_t sectors = data.size() / kSector;
  pending_.push_back({offset_bytes, std::move(data), doubtful, std::vector<bool>(sectors)});
}

void FaultyDevice::MakeDurable() {
  std::vector<Pending> doubtful;
  for (Pending& write : pending_) {
    if (write.doubtful) {
      doubtful.push_back(std::move(write));
      continue;
    }
    std::copy(write.data.begin(), write.data.end(), durable_.begin() + static_cast<std::ptrdiff_t>(write.offset_bytes));
    // What an earlier doubtful write left in these sectors is overwritten.
    for (Pending& earlier : doubtful) {
      for (size_t sector = 0; sector < earlier.superseded.size(); ++sector) {
        const uint64_t at = earlier.offset_bytes + sector * kSector;
        if (at >= write.offset_bytes && at < write.offset_bytes + write.data.size()) earlier.superseded[sector] = true;
      }
    }
  }
  pending_ = std::move(doubtful);
}

}  // namespace dmcached
