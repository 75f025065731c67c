#include "core/cache/mapping_loader.h"

#include <algorithm>
#include <utility>

#include "core/base/parallel.h"
#include "core/base/status.h"
#include "core/format/layout.h"
#include "core/format/seal.h"

namespace dmcached {
namespace {

// A multiple of 64 blocks, so that no two chunks share a word of bits.
constexpr uint64_t kChunkBlocks = 256;
// One more than processors, on small machines, so that one can wait for the device.
constexpr size_t kWorkers = 3;
// Of the 64 MiB, what is left by the search for duplicates and by the buffers; more than this brings nothing.
constexpr uint64_t kAllBytes = 60u << 20;
constexpr uint64_t kMaxScratchBytes = 40u << 20;

// Adds bits of cblocks from `first` on to words of 64 each.
void MergeBits(uint64_t first, std::span<const uint64_t> bits, std::vector<uint64_t>& words) {
  const uint64_t shift = first % kBitsPerWord;
  uint64_t* word = words.data() + first / kBitsPerWord;
  for (const uint64_t each : bits) {
    *word++ |= each << shift;
    const uint64_t rest = shift == 0 ? 0 : each >> (kBitsPerWord - shift);
    if (rest != 0) *word |= rest;  // Perhaps there is no such word.
  }
}

}  // namespace

MappingLoader::MappingLoader(const Source& source, OriginIndex& index) : source_(source) {
  const uint64_t entries = source.array.entries();
  const uint64_t chunks = CeilDiv(source.array.blocks(), kChunkBlocks);
  const size_t wanted = source.executor == nullptr ? 1 : std::clamp<size_t>(chunks, 1, kWorkers);
  const size_t workers = OriginDuplicates::Sharers(source.likely_end, entries, wanted);
  uint64_t bytes = 0;
  for (size_t i = 0; i < workers; ++i) {
    workers_.push_back(std::make_unique<Worker>(
        OriginDuplicates(source.likely_end, entries, OriginDuplicates::kBudgetBytes, workers)));
    bytes += worker(i).origins.memory_bytes();
  }
  mapped_.resize(CeilDiv(entries, kBitsPerWord));
  if ((source.known_flags & kMappingFlagDirty) != 0) dirty_.resize(mapped_.size());
  const uint64_t scratch = std::min(kMaxScratchBytes, kAllBytes - std::min(bytes, kAllBytes / 2));
  builder_ = std::make_unique<OriginIndexBuilder>(index, entries, workers, scratch);
  for (size_t i = 0; i < workers; ++i) {
    worker(i).lane = &builder_->lane(i);
    worker(i).buffer = HugeMemory(std::min(kChunkBlocks, source.array.blocks()) * kMetadataBlockBytes);
  }
}

absl::Status MappingLoader::Pass() {
  const bool first_pass = passed_ == 0;
  next_ = 0;
  for (auto& worker : workers_) worker->left_out.clear();
  while (next_ < source_.array.blocks()) {
    RunParallel(source_.executor, workers_.size(), [&](size_t i) { Work(worker(i), first_pass); });
    if (first_pass) builder_->Flush(source_.executor);
  }
  // The first in the array, whoever met it.
  const Worker* failed = nullptr;
  for (const auto& worker : workers_) {
    if (worker->failed_chunk.has_value() && (failed == nullptr || *worker->failed_chunk < *failed->failed_chunk)) {
      failed = worker.get();
    }
  }
  if (first_pass) builder_.reset();
  return failed == nullptr ? absl::OkStatus() : failed->failure;
}

void MappingLoader::Work(Worker& worker, bool first_pass) {
  const uint64_t blocks = source_.array.blocks();
  if (next_ < blocks) worker.origins.Populate();
  while (!first_pass || !worker.lane->full()) {
    const uint64_t first = next_.fetch_add(kChunkBlocks);
    if (first >= blocks) return;
    absl::Status read = ReadChunk(worker, first, std::min(first + kChunkBlocks, blocks), first_pass);
    if (read.ok()) continue;
    worker.failed_chunk = first;
    worker.failure = std::move(read);
    next_ = blocks;
  }
}

absl::Status MappingLoader::ReadChunk(Worker& worker, uint64_t first, uint64_t end, bool first_pass) {
  const std::vector<Slot>& slots = source_.array.slots();
  for (uint64_t begin = first; begin < end;) {
    uint64_t run = begin + 1;
    while (run < end && slots[run].location == slots[run - 1].location + 1) ++run;
    const std::span<std::byte> bytes(worker.buffer.data(), (run - begin) * kMetadataBlockBytes);
    DMCACHED_RETURN_IF_ERROR(source_.device.Read(BlockOffsetBytes(MetadataBlock(slots[begin].location)), bytes));
    for (uint64_t block = begin; block < run; ++block) {
      Take(worker, block, bytes.subspan((block - begin) * kMetadataBlockBytes, kMetadataBlockBytes), first_pass);
    }
    begin = run;
  }
  return absl::OkStatus();
}

bool MappingLoader::IsRegular(uint64_t block, std::span<const std::byte> bytes, MappingWords& words) const {
  const MetadataBlock location(source_.array.slots()[block].location);
  const uint64_t entries = source_.array.EntriesIn(block);
  return CheckBlock(BlockType::kArrayBlock, location, bytes).ok() &&
         CheckArrayHeader(location, source_.array.value_size(), entries, bytes).ok() &&
         words.Read(bytes, entries, {.known_flags = source_.known_flags, .oblock_end = source_.oblock_end});
}

void MappingLoader::Take(Worker& worker, uint64_t block, std::span<const std::byte> bytes, bool first_pass) {
  const MappingWords& words = worker.words;
  if (!IsRegular(block, bytes, worker.words)) {
    worker.left_out.push_back(block);
    return;
  }
  worker.origins.AddAll(words.oblocks());
  if (!first_pass) return;
  worker.mapped_end = words.EndAbove(worker.mapped_end);
  const uint64_t first = block * kArrayWordsPerBlock;
  worker.lane->AddAll(words.oblocks(), TakeCblocks(worker, first));
  // A block begins and ends within a word that it shares.
  MergeBits(first, words.mapped(), mapped_);
  if (!dirty_.empty()) MergeBits(first, words.dirty(), dirty_);
}

std::span<const Cblock> MappingLoader::TakeCblocks(Worker& worker, uint64_t first) {
  const uint64_t entries = worker.words.entries();
  size_t mapped = 0;
  if (worker.words.oblocks().size() == entries) {
    for (; mapped < entries; ++mapped) worker.cblocks[mapped] = Cblock(static_cast<uint32_t>(first + mapped));
  } else {  // Without a branch that a half-full cache would make unpredictable.
    const std::span<const uint64_t> bits = worker.words.mapped();
    for (uint64_t i = 0; i < entries; ++i) {
      worker.cblocks[mapped] = Cblock(static_cast<uint32_t>(first + i));
      mapped += bits[i / kBitsPerWord] >> (i % kBitsPerWord) & 1;
    }
  }
  return std::span(worker.cblocks).first(mapped);
}

std::vector<uint64_t> MappingLoader::left_out() const {
  std::vector<uint64_t> all;
  for (const auto& worker : workers_) all.insert(all.end(), worker->left_out.begin(), worker->left_out.end());
  std::sort(all.begin(), all.end());
  return all;
}

void MappingLoader::EndPass() {
  for (size_t i = 1; i < workers_.size(); ++i) {
    worker(0).origins.Merge(worker(i).origins);
    worker(i).origins.EndPass();
  }
  worker(0).origins.EndPass();
  ++passed_;
}

uint64_t MappingLoader::mapped_end() const {
  uint64_t end = 0;
  for (const auto& worker : workers_) end = std::max(end, worker->mapped_end);
  return end;
}

}  // namespace dmcached
