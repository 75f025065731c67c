// Images to damage, and what the checker says of them.
#ifndef DMCACHED_TESTS_CORE_MAINTENANCE_CHECK_FIXTURE_H_
#define DMCACHED_TESTS_CORE_MAINTENANCE_CHECK_FIXTURE_H_

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/maintenance/checker.h"
#include "core/maintenance/device_source.h"
#include "tests/core/cache/cache_fixture.h"

namespace dmcached {

inline void PrintTo(const Finding& finding, std::ostream* out) {
  *out << FindingKindName(finding.kind) << " " << SeverityName(finding.severity);
  if (finding.block.has_value()) *out << " block " << finding.block->value();
  if (finding.cblocks.has_value()) {
    *out << " cblocks [" << finding.cblocks->begin.value() << ", " << finding.cblocks->end.value() << ")";
  }
  *out << " x" << finding.count << ": " << finding.message;
}

// Keeps everything it is told.
class KeepingSink : public CheckSink {
 public:
  void OnProgress(uint64_t done, uint64_t total) override {
    EXPECT_GE(done, last_done_);
    EXPECT_LE(done, total);
    last_done_ = done;
  }
  void OnFinding(const Finding& finding) override { findings_.push_back(finding); }
  const std::vector<Finding>& findings() const { return findings_; }

 private:
  uint64_t last_done_ = 0;
  std::vector<Finding> findings_;
};

struct Checked {
  absl::Status status;
  CheckSummary summary;
  std::vector<Finding> findings;

  // An empty one if there are not so many, so that a test fails and does not die.
  const Finding& at(size_t i) const {
    static const Finding none;
    EXPECT_LT(i, findings.size());
    return i < findings.size() ? findings[i] : none;
  }
  // "kind severity" of each finding above `above`, in order.
  std::vector<std::string> Above(Severity above) const {
    std::vector<std::string> names;
    for (const Finding& finding : findings) {
      if (finding.severity > above) names.push_back(Name(finding));
    }
    return names;
  }
  std::vector<std::string> All() const {
    std::vector<std::string> names;
    for (const Finding& finding : findings) names.push_back(Name(finding));
    return names;
  }
  static std::string Name(const Finding& finding) {
    return absl::StrCat(FindingKindName(finding.kind), " ", SeverityName(finding.severity));
  }
};

inline Checked CheckSourceNow(CheckSource& source, const CheckOptions& options = {}) {
  KeepingSink sink;
  auto summary = CheckMetadata(source, options, sink);
  return {summary.status(), summary.ok() ? *summary : CheckSummary{}, sink.findings()};
}
inline Checked CheckDevice(BlockDevice& device, const CheckOptions& options = {}) {
  DeviceSource source(device);
  return CheckSourceNow(source, options);
}
inline Checked CheckImage(std::span<const std::byte> image) {
  FaultyDevice device(image);
  return CheckDevice(device);
}

// A sound image, open so that its blocks can be found.
class DamagedImage {
 public:
  // 1300 cache blocks: mappings in three array blocks, cblocks [0, 600) and [1000, 1100), every tenth dirty.
  explicit DamagedImage(uint32_t version, uint32_t cache_blocks = 1300, uint64_t metadata_blocks = 256)
      : cache_(metadata_blocks) {
    EXPECT_THAT(cache_.Format(version, cache_blocks, uint64_t{4} * cache_blocks), IsOk());
    EXPECT_THAT(cache_.BeginHints("smq"), IsOk());
    for (uint32_t i = 0; i < 1100 && i < cache_blocks; ++i) {
      if (i >= 600 && i < 1000) continue;
      EXPECT_THAT(cache_.Insert({i}, {uint64_t{3} * i}, {i % 10 == 0}), IsOk());
    }
    const uint64_t discards = cache_->superblock().discard_blocks;
    EXPECT_THAT(cache_.SetDiscards({Dblocks(discards - 20, discards - 10)}), IsOk());
    EXPECT_THAT(cache_.Commit(true), IsOk());
  }

  TestCache& cache() { return cache_; }
  FaultyDevice& device() { return cache_.device(); }
  Superblock superblock() { return cache_.OnMedium(); }
  uint64_t array_block(ArrayKind kind, uint64_t i) { return cache_->store().array(kind).slot(i).location; }

  // Changes a block and seals it again, so that the damage gets past the checksum.
  void Patch(BlockType type, uint64_t block, const std::function<void(std::span<std::byte>)>& change,
             bool seal = true) {
    AlignedBuffer buffer(kMetadataBlockBytes);
    ASSERT_THAT(device().Read(block * kMetadataBlockBytes, buffer.span()), IsOk());
    change(buffer.span());
    if (seal) SealBlock(type, MetadataBlock(block), buffer.span());
    ASSERT_THAT(device().Write(block * kMetadataBlockBytes, buffer.span()), IsOk());
  }
  template <typename Disk>
  void PatchAs(BlockType type, uint64_t block, const std::function<void(Disk&)>& change) {
    Patch(type, block, [&](std::span<std::byte> bytes) { change(MutableDiskView<Disk>(bytes)); });
  }
  void PatchSuper(const std::function<void(Superblock&)>& change) { PatchSuperblock(device(), change); }
  // One flipped bit that the checksum notices.
  void Flip(uint64_t block) {
    Patch(
        BlockType::kArrayBlock, block, [](std::span<std::byte> bytes) { bytes[3000] ^= std::byte{1}; },
        /*seal=*/false);
  }
  void PatchWord(ArrayKind kind, uint64_t entry, uint64_t word) {
    Patch(BlockType::kArrayBlock, array_block(kind, entry / kArrayWordsPerBlock),
          [&](std::span<std::byte> bytes) { StoreLe<uint64_t>(WordOf(bytes, entry % kArrayWordsPerBlock), word); });
  }
  uint64_t bitmap_block() {
    AlignedBuffer buffer(kMetadataBlockBytes);
    EXPECT_THAT(device().Read(BlockOffsetBytes(superblock().space_map.index_block), buffer.span()), IsOk());
    return DiskView<DiskIndexBlock>(buffer.span()).entries[0].blocknr.load();
  }
  // The two-bit field of a metadata block in the first bitmap.
  void PatchCount(uint64_t block, uint64_t field) {
    PatchAs<DiskBitmapBlock>(BlockType::kSpaceMapBitmap, bitmap_block(), [&](DiskBitmapBlock& bitmap) {
      Le64& word = bitmap.words[block / kEntriesPerBitmapWord];
      const uint64_t shift = 2 * (block % kEntriesPerBitmapWord);
      word.store((word.load() & ~(uint64_t{3} << shift)) | field << shift);
    });
  }
  void PatchIndexEntry(uint64_t i, const std::function<void(DiskIndexEntry&)>& change) {
    PatchAs<DiskIndexBlock>(BlockType::kSpaceMapIndex, superblock().space_map.index_block.value(),
                            [&](DiskIndexBlock& index) { change(index.entries[i]); });
  }
  void PatchNode(MetadataBlock node, const std::function<void(DiskIndexNode&)>& change) {
    PatchAs<DiskIndexNode>(BlockType::kBtreeNode, node.value(), change);
  }

  Checked Check() { return CheckDevice(device()); }

 private:
  TestCache cache_;
};

constexpr uint64_t Mapping(uint64_t oblock, uint64_t flags) { return oblock << kMappingFlagBits | flags; }

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CORE_MAINTENANCE_CHECK_FIXTURE_H_
