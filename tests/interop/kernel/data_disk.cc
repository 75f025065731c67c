#include "tests/interop/kernel/data_disk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/check.h"

namespace dmcached {
namespace {

constexpr size_t kWords = kDataBlockBytes / sizeof(uint64_t);

// Words differ inside a block, so that sectors which changed places are noticed.
uint64_t Word(uint64_t first, size_t index) { return first + index * 0x9e3779b97f4a7c15; }

}  // namespace

std::string ToText(const std::optional<Stamp>& stamp) {
  if (!stamp.has_value()) return "nothing of ours";
  const char* const names[] = {"?", "fast", "origin", "written"};
  const auto source = static_cast<size_t>(stamp->source);
  return absl::StrCat(names[source < std::size(names) ? source : 0], " block ", stamp->block, " of cache ",
                      stamp->cache, ", round ", stamp->round);
}

DataDisk::DataDisk(const std::string& path, uint32_t caches, uint32_t blocks_per_cache)
    : path_(path), blocks_per_cache_(blocks_per_cache) {
  const size_t bytes = uint64_t{caches} * blocks_per_cache * kDataBlockBytes;
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  DMCACHED_CHECK(fd >= 0 && ftruncate(fd, static_cast<off_t>(bytes)) == 0);
  // Shared with qemu through the page cache.
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  DMCACHED_CHECK(at != MAP_FAILED);
  close(fd);
  image_ = {static_cast<std::byte*>(at), bytes};
}

DataDisk::~DataDisk() { munmap(image_.data(), image_.size()); }

std::span<std::byte> DataDisk::Block(uint32_t cache, uint32_t block) const {
  DMCACHED_CHECK(block < blocks_per_cache_);
  return image_.subspan((FirstBlock(cache) + block) * kDataBlockBytes, kDataBlockBytes);
}

void DataDisk::Write(uint32_t cache, uint32_t block, const Stamp& stamp) {
  static_assert(sizeof(Stamp) == sizeof(uint64_t));
  const auto first = std::bit_cast<uint64_t>(stamp);
  uint64_t words[kWords];
  for (size_t i = 0; i < kWords; ++i) words[i] = Word(first, i);
  std::memcpy(Block(cache, block).data(), words, sizeof(words));
}

std::optional<Stamp> DataDisk::Read(uint32_t cache, uint32_t block) const {
  uint64_t words[kWords];
  std::memcpy(words, Block(cache, block).data(), sizeof(words));
  for (size_t i = 0; i < kWords; ++i) {
    if (words[i] != Word(words[0], i)) return std::nullopt;
  }
  return std::bit_cast<Stamp>(words[0]);
}

}  // namespace dmcached
