// Test data whose every block says what it is, on disk images that the guest uses too.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_DATA_DISK_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_DATA_DISK_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace dmcached {

inline constexpr uint64_t kDataBlockSectors = 64;
inline constexpr size_t kDataBlockBytes = kDataBlockSectors * 512;

// Which contents a data block has: no two blocks of a run are given the same.
struct Stamp {
  enum class Source : uint8_t { kFast = 1, kOrigin = 2, kWritten = 3 };

  Source source = Source::kFast;  // Where the contents were first put: by us, or written through the cache.
  uint8_t cache = 0;
  uint16_t round = 0;
  uint32_t block = 0;
  bool operator==(const Stamp&) const = default;
};

std::string ToText(const std::optional<Stamp>& stamp);

// One image with a slice of equally many data blocks for each cache.
class DataDisk {  // Not thread-safe.
 public:
  // Makes the image, of zeros.  Dies if it cannot be made, as every method does when the image cannot be accessed.
  DataDisk(const std::string& path, uint32_t caches, uint32_t blocks_per_cache);
  ~DataDisk();
  DataDisk(const DataDisk&) = delete;
  DataDisk& operator=(const DataDisk&) = delete;

  // Fills the whole block.
  void Write(uint32_t cache, uint32_t block, const Stamp& stamp);
  // Every byte is looked at; nothing if the block is not filled with one stamp.
  std::optional<Stamp> Read(uint32_t cache, uint32_t block) const;

  const std::string& path() const { return path_; }
  // Where the slice of a cache begins, in data blocks.
  uint64_t FirstBlock(uint32_t cache) const { return uint64_t{cache} * blocks_per_cache_; }
  uint32_t blocks_per_cache() const { return blocks_per_cache_; }

 private:
  std::span<std::byte> Block(uint32_t cache, uint32_t block) const;

  const std::string path_;
  const uint32_t blocks_per_cache_;
  std::span<std::byte> image_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_DATA_DISK_H_
