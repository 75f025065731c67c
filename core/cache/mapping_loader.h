// Reads a whole mapping array at open, on several threads: checks every block, gathers which cblocks are mapped and
// dirty, and fills the origin index.
//
// Each thread takes the next MiB of the array, reads it and does everything with it while it is in the processor's
// cache.  A block that is not as it should be is left out entirely, and named, for whoever can say what is wrong with
// it.  Memory besides the result: at most 64 MiB.
#ifndef DMCACHED_CORE_CACHE_MAPPING_LOADER_H_
#define DMCACHED_CORE_CACHE_MAPPING_LOADER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "absl/status/status.h"
#include "core/base/executor.h"
#include "core/base/huge_memory.h"
#include "core/cache/mapping_words.h"
#include "core/cache/origin_duplicates.h"
#include "core/cache/origin_index.h"
#include "core/cache/origin_index_builder.h"
#include "core/device/block_device.h"
#include "core/store/packed_array.h"

namespace dmcached {

class MappingLoader {  // Not thread-safe.
 public:
  struct Source {
    BlockDevice& device;
    const PackedArray& array;  // The mappings.
    uint64_t known_flags;      // That a mapping may have.
    uint64_t oblock_end;       // What maps beyond it is left out.
    uint64_t likely_end;       // Nearly every oblock is below it.
    Executor* executor;        // Helps; may be null.
  };
  // `index` is empty, and has room for the array's entries.  All outlive the loader.
  MappingLoader(const Source& source, OriginIndex& index);

  // How often Pass must be called, with EndPass after each, before duplicates are known.
  uint64_t passes() const { return worker(0).origins.passes(); }
  // Reads the array.  The first pass fills in everything below, later ones only look for duplicates.
  // Errors: kInternal EIO.
  absl::Status Pass();
  // Array blocks that the last pass left out, in order.
  std::vector<uint64_t> left_out() const;
  // Another oblock that was found in a block that had been left out.
  void AddOrigin(Oblock oblock) { worker(0).origins.Add(oblock); }
  void EndPass();

  // Of 64 cblocks each.
  const std::vector<uint64_t>& mapped_words() const { return mapped_; }
  const std::vector<uint64_t>& dirty_words() const { return dirty_; }
  // Behind the last oblock.
  uint64_t mapped_end() const;
  const std::optional<Oblock>& duplicate() const { return worker(0).origins.duplicate(); }

 private:
  struct Worker {
    explicit Worker(OriginDuplicates duplicates) : origins(std::move(duplicates)) {}

    OriginDuplicates origins;
    OriginIndexBuilder::Lane* lane = nullptr;
    HugeMemory buffer;                                    // Goes back to the system afterwards, unlike the heap.
    MappingWords words;                                   // Of a block.
    std::array<Cblock, kArrayWordsPerBlock + 1> cblocks;  // That it maps; one more is written and not counted.
    uint64_t mapped_end = 0;
    std::vector<uint64_t> left_out;
    std::optional<uint64_t> failed_chunk;
    absl::Status failure;
  };

  Worker& worker(size_t i) { return *workers_[i]; }
  const Worker& worker(size_t i) const { return *workers_[i]; }
  // Takes chunks until there are no more, or until the lane is full.
  void Work(Worker& worker, bool first_pass);
  absl::Status ReadChunk(Worker& worker, uint64_t first, uint64_t end, bool first_pass);
  // Whether every entry of the block is as it should be; fills `words` if so.
  bool IsRegular(uint64_t block, std::span<const std::byte> bytes, MappingWords& words) const;
  void Take(Worker& worker, uint64_t block, std::span<const std::byte> bytes, bool first_pass);
  // The cblocks that a block maps, whose entries begin with that of cblock `first`.
  static std::span<const Cblock> TakeCblocks(Worker& worker, uint64_t first);

  const Source source_;
  std::vector<uint64_t> mapped_;
  std::vector<uint64_t> dirty_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<OriginIndexBuilder> builder_;  // During the first pass.
  uint64_t passed_ = 0;
  std::atomic<uint64_t> next_{0};  // Block that nobody has taken.
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_CACHE_MAPPING_LOADER_H_
