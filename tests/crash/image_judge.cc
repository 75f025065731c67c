#include "tests/crash/image_judge.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/cache/cache_metadata.h"
#include "tests/crash/gapped_device.h"
#include "tests/support/alarms.h"
#include "tests/support/image_walker.h"
#include "tests/support/open_cache.h"

namespace dmcached {
namespace {

// Works on somebody else's bytes and puts them back at the end.
class ScratchDevice : public BlockDevice {
 public:
  explicit ScratchDevice(std::span<std::byte> bytes) : BlockDevice("crashed", nullptr), bytes_(bytes) {}
  ~ScratchDevice() override {
    for (; !undo_.empty(); undo_.pop_back()) {
      std::copy(undo_.back().second.begin(), undo_.back().second.end(), bytes_.begin() + undo_.back().first);
    }
  }

  uint64_t size_bytes() const override { return bytes_.size(); }
  size_t alignment_bytes() const override { return 1; }
  bool direct_io() const override { return true; }
  bool read_only() const override { return false; }
  bool changed() const { return changed_; }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    auto from = bytes_.begin() + static_cast<std::ptrdiff_t>(offset_bytes);
    for (const std::span<std::byte> buffer : buffers) {
      std::copy_n(from, buffer.size(), buffer.begin());
      from += static_cast<std::ptrdiff_t>(buffer.size());
    }
    return absl::OkStatus();
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    auto to = static_cast<std::ptrdiff_t>(offset_bytes);
    for (const std::span<const std::byte> buffer : buffers) {
      const auto old = bytes_.begin() + to;
      const auto size = static_cast<std::ptrdiff_t>(buffer.size());
      undo_.emplace_back(to, std::vector<std::byte>(old, old + size));
      changed_ = changed_ || !std::equal(buffer.begin(), buffer.end(), old);
      std::copy(buffer.begin(), buffer.end(), old);
      to += size;
    }
    return absl::OkStatus();
  }
  absl::Status DoFlush() override { return absl::OkStatus(); }

 private:
  const std::span<std::byte> bytes_;
  std::vector<std::pair<std::ptrdiff_t, std::vector<std::byte>>> undo_;
  bool changed_ = false;
};

// What the decoder and the checker, which share no code, have to say against the device's bytes.
std::string DamageOf(BlockDevice& device, const WalkedImage& walked, const Gap& gap) {
  if (std::string faults = walked.Faults(); !faults.empty()) return faults;
  if (!gap.empty()) return "";  // The checker has a finding for each of its blocks.
  const Alarms alarms(device);
  if (alarms.any()) return alarms.ToString();
  const CacheContents& contents = walked.contents;
  const CheckSummary& summary = alarms.summary();
  if (summary.mapped == contents.mappings.size() && summary.used == walked.used_blocks) return "";
  return absl::StrCat("the checker counts ", summary.mapped, " mappings and ", summary.used, " used blocks, not ",
                      contents.mappings.size(), " and ", walked.used_blocks);
}

std::string DifferenceToAll(const CacheContents& found, const std::vector<CacheContents>& points,
                            const PointSet& allowed) {
  std::string text = "it is no commit point that may be found:";
  for (const size_t point : allowed) {
    absl::StrAppend(&text, "\n  point ", point, ": ",
                    Difference(Opened(found, DirtyTracking::kExact), Opened(points[point], DirtyTracking::kExact)));
  }
  return text;
}

}  // namespace

CacheContents Opened(CacheContents medium, DirtyTracking tracking) {
  if (!medium.clean_shutdown) {
    for (auto& [cblock, to] : medium.mappings) to.dirty = true;
    medium.discards.assign(medium.discards.size(), false);
    medium.hints.reset();
  }
  medium.clean_shutdown = tracking == DirtyTracking::kExact;
  return medium;
}

std::optional<size_t> FindPoint(const CacheContents& medium, const std::vector<CacheContents>& points,
                                const PointSet& allowed) {
  for (const size_t point : allowed) {
    if (points[point] == medium) return point;
  }
  const CacheContents opened = Opened(medium, DirtyTracking::kExact);
  for (const size_t point : allowed) {
    if (Opened(points[point], DirtyTracking::kExact) == opened) return point;
  }
  return std::nullopt;
}

std::string MissingMark(const CacheContents& opened, const MarkedCblocks& marked) {
  for (const uint32_t cblock : marked) {
    const auto at = opened.mappings.find(cblock);
    if (at == opened.mappings.end()) return absl::StrCat("acknowledged dirty cblock ", cblock, " is not mapped");
    if (!at->second.dirty) return absl::StrCat("acknowledged dirty cblock ", cblock, " is clean");
  }
  return "";
}

Verdict JudgeImage(std::span<std::byte> image, const std::vector<CacheContents>& points, const PointSet& allowed,
                   const MarkedCblocks& marked, DirtyTracking tracking, const Gap& gap) {
  ScratchDevice device(image);
  const WalkedImage crashed = WalkImage(image, gap);
  if (const std::string damage = DamageOf(device, crashed, gap); !damage.empty()) return {"damage: " + damage};
  const std::optional<size_t> point = FindPoint(crashed.contents, points, allowed);
  if (!point.has_value()) return {DifferenceToAll(crashed.contents, points, allowed)};

  OpenParams params;
  params.dirty_tracking = tracking;
  params.block_cache_bytes = 64 * kMetadataBlockBytes;
  auto cache = CacheMetadata::Open(std::make_shared<GappedDevice>(device, gap), params, NewCounters());
  if (!cache.ok()) return {"it does not open: " + cache.status().ToString()};
  const absl::StatusOr<CacheContents> read = ReadContents(**cache);
  if (!read.ok()) return {"it cannot be read: " + read.status().ToString()};
  const CacheContents expected = Opened(points[*point], tracking);
  CacheContents readable = expected;
  if (readable.hints.has_value()) {  // Those of unmapped cblocks are not served.
    for (uint32_t i = 0; i < readable.cache_blocks; ++i) {
      if (!readable.mappings.contains(i)) (*readable.hints)[i] = 0;
    }
  }
  if (*read != readable) return {"open, it is " + Difference(*read, readable)};
  if (const std::string missing = MissingMark(*read, marked); !missing.empty()) return {missing};
  if (!device.changed()) return {"", *point};
  const WalkedImage reopened = WalkImage(image, gap);
  if (const std::string damage = DamageOf(device, reopened, gap); !damage.empty()) {
    return {"damage after the open: " + damage};
  }
  if (reopened.contents != expected) return {"after the open: " + Difference(reopened.contents, expected)};
  return {"", *point};
}

}  // namespace dmcached
