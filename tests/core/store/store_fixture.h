// A store on a device in memory, and devices that remember what was done to them.
#ifndef DMCACHED_TESTS_CORE_STORE_STORE_FIXTURE_H_
#define DMCACHED_TESTS_CORE_STORE_STORE_FIXTURE_H_

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/device/memory_device.h"
#include "core/format/layout.h"
#include "core/store/block_set.h"
#include "core/store/bulk_writer.h"
#include "core/store/store.h"
#include "tests/support/faulty_device.h"
#include "tests/support/matchers.h"

namespace dmcached {

// Writes down every operation: "r5+2" and "w5+2" (blocks 5 and 6), "f".
class RecordingDevice : public MemoryDevice {
 public:
  using MemoryDevice::MemoryDevice;

  std::vector<std::string> log;
  std::function<void()> on_flush = [] {};

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    log.push_back(Entry("r", offset_bytes, buffers));
    return MemoryDevice::DoReadV(offset_bytes, buffers);
  }
  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    log.push_back(Entry("w", offset_bytes, buffers));
    return MemoryDevice::DoWriteV(offset_bytes, buffers);
  }
  absl::Status DoFlush() override {
    log.emplace_back("f");
    on_flush();
    return MemoryDevice::DoFlush();
  }

 private:
  template <typename Buffers>
  static std::string Entry(const char* verb, uint64_t offset_bytes, Buffers buffers) {
    uint64_t bytes = 0;
    for (const auto& buffer : buffers) bytes += buffer.size();
    return absl::StrCat(verb, offset_bytes / kMetadataBlockBytes, "+", bytes / kMetadataBlockBytes);
  }
};

// A store of version 1 with a mapping array of `entries` words.
class TestStore {
 public:
  explicit TestStore(std::shared_ptr<BlockDevice> device, uint64_t budget_bytes = 1u << 20)
      : device_(std::move(device)), budget_bytes_(budget_bytes) {
    superblock_.version = 1;
    superblock_.data_block_size = Sectors(64);
    superblock_.clean_shutdown = true;
  }
  explicit TestStore(uint64_t blocks = 256, uint64_t budget_bytes = 1u << 20)
      : TestStore(std::make_shared<FaultyDevice>(blocks * kMetadataBlockBytes), budget_bytes) {}

  // Formats, creates the mapping array, commits.
  absl::Status Format(uint64_t entries) {
    auto store = Store::Format(device_, 1, budget_bytes_);
    if (!store.ok()) return store.status();
    store_ = *std::move(store);
    Create(ArrayKind::kMappings, entries);
    superblock_.cache_blocks = static_cast<uint32_t>(entries);
    return Commit();
  }
  // Drops what is in memory and loads what is on the device.
  absl::Status Load() {
    store_.reset();
    AlignedBuffer block(kMetadataBlockBytes);
    DMCACHED_RETURN_IF_ERROR(device_->Read(0, block.span()));
    DMCACHED_ASSIGN_OR_RETURN(superblock_, UnpackSuperblock(block.span()));
    DMCACHED_ASSIGN_OR_RETURN(store_, Store::Load(device_, superblock_, budget_bytes_));
    return absl::OkStatus();
  }

  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }
  Superblock& superblock() { return superblock_; }
  BlockDevice& device() { return *device_; }
  PackedArray& mappings() { return store_->array(ArrayKind::kMappings); }

  std::vector<BulkBlock> Fresh(ArrayKind kind, uint64_t first_block, uint64_t entries) {
    const uint64_t per_block = PackedArray::PerBlock(kind);
    std::vector<BulkBlock> fresh;
    for (uint64_t block = first_block; block * per_block < entries; ++block) {
      fresh.push_back({.location = store_->AllocateBulk(),
                       .type = BlockType::kArrayBlock,
                       .value_size = PackedArray::ValueSize(kind),
                       .entries = static_cast<uint32_t>(std::min(per_block, entries - block * per_block)),
                       .contents = nullptr});
    }
    std::vector<BulkBlock> writes = fresh;
    EXPECT_THAT(WriteBulk(*device_, writes), IsOk());
    return fresh;
  }
  void Create(ArrayKind kind, uint64_t entries) { store_->CreateArray(kind, entries, Fresh(kind, 0, entries)); }

  template <typename Op>
  auto Run(Op op) {
    return RunWithBlocks(mutex_, *store_, std::move(op));
  }
  absl::Status Put(uint64_t entry, uint64_t word) {
    return Run([&](BlockSet& set) {
      set.Change(mappings(), entry / kArrayWordsPerBlock);
      if (!set.complete()) return absl::OkStatus();
      DMCACHED_RETURN_IF_ERROR(store_->CheckSpace(set.copies()));
      const auto block = store_->Writable(ArrayKind::kMappings, entry / kArrayWordsPerBlock);
      StoreLe(block.data() + sizeof(DiskArrayBlockHeader) + entry % kArrayWordsPerBlock * sizeof(word), word);
      return absl::OkStatus();
    });
  }
  absl::StatusOr<uint64_t> Get(uint64_t entry) {
    return Run([&](BlockSet& set) -> absl::StatusOr<uint64_t> {
      if (!set.Read(mappings(), entry / kArrayWordsPerBlock)) return 0;
      return mappings().Word(entry);
    });
  }

  std::unique_ptr<CommitBatch> Prepare() {
    auto batch = store_->Prepare(superblock_);
    EXPECT_THAT(batch, IsOk());
    return *std::move(batch);
  }
  absl::Status Commit() {
    auto batch = Prepare();
    const std::atomic<bool> stop = false;
    DMCACHED_RETURN_IF_ERROR(batch->Write(*device_, stop));
    store_->Finish(std::move(batch));
    return absl::OkStatus();
  }

 private:
  std::shared_ptr<BlockDevice> device_;
  const uint64_t budget_bytes_;
  Superblock superblock_;
  std::unique_ptr<Store> store_;
  Mutex mutex_;
};

// Reads block `block`, lets `change` damage it, seals it again as `type` if it is given, and writes it back.
inline void Tamper(BlockDevice& device, uint64_t block, std::optional<BlockType> type,
                   const std::function<void(std::span<std::byte>)>& change) {
  AlignedBuffer buffer(kMetadataBlockBytes);
  ASSERT_THAT(device.Read(block * kMetadataBlockBytes, buffer.span()), IsOk());
  change(buffer.span());
  if (type.has_value()) SealBlock(*type, MetadataBlock(block), buffer.span());
  ASSERT_THAT(device.Write(block * kMetadataBlockBytes, buffer.span()), IsOk());
}

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CORE_STORE_STORE_FIXTURE_H_
