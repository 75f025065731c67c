#include "core/store/frame_pool.h"

#include "core/base/check.h"
#include "core/format/layout.h"

namespace dmcached {
namespace {

constexpr size_t kChunkBytes = HugeMemory::kHugePageBytes;
constexpr size_t kBlocksPerChunk = kChunkBytes / kMetadataBlockBytes;

}  // namespace

FramePool::~FramePool() {
  for (const auto& [address, chunk] : chunks_) DMCACHED_CHECK(chunk->free.size() == kBlocksPerChunk);
}

FramePool::Chunk& FramePool::NewChunk() {
  auto chunk = std::make_unique<Chunk>();
  chunk->memory = HugeMemory(kChunkBytes);
  // Ascending addresses are handed out first.
  for (size_t i = kBlocksPerChunk; i > 0; --i) {
    chunk->free.push_back(static_cast<uint32_t>((i - 1) * kMetadataBlockBytes));
  }
  chunk->position = open_.size();
  open_.push_back(chunk.get());
  const auto address = reinterpret_cast<uintptr_t>(chunk->memory.data());
  return *(chunks_[address] = std::move(chunk));
}

void FramePool::Close(Chunk& chunk) {
  open_.back()->position = chunk.position;
  open_[chunk.position] = open_.back();
  open_.pop_back();
}

std::byte* FramePool::Take() {
  MutexLock lock(mutex_);
  Chunk& chunk = open_.empty() ? NewChunk() : *open_.back();
  std::byte* block = chunk.memory.data() + chunk.free.back();
  chunk.free.pop_back();
  if (chunk.free.empty()) Close(chunk);
  return block;
}

void FramePool::GiveBack(std::byte* block) {
  MutexLock lock(mutex_);
  const auto address = reinterpret_cast<uintptr_t>(block);
  const uintptr_t start = address / kChunkBytes * kChunkBytes;
  Chunk& chunk = *chunks_.at(start);
  chunk.free.push_back(static_cast<uint32_t>(address - start));
  if (chunk.free.size() == 1) {
    chunk.position = open_.size();
    open_.push_back(&chunk);
  }
  // One empty chunk is kept: a cache at the edge of a chunk would map and unmap it over and over.
  if (chunk.free.size() == kBlocksPerChunk && open_.size() > 1) {
    Close(chunk);
    chunks_.erase(start);
  }
}

}  // namespace dmcached
