// What a device holds after a power cut, made in place for one set of surviving writes after the other.
#ifndef DMCACHED_TESTS_CRASH_CRASH_MEDIUM_H_
#define DMCACHED_TESTS_CRASH_CRASH_MEDIUM_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "tests/crash/recording_device.h"

namespace dmcached {

// The same rules as FaultyDevice: an unflushed write may be there in any of its 512-byte sectors; a write that failed,
// or whose flush failed, stays doubtful until something durable is written over it.
class CrashMedium {  // Not thread-safe.
 public:
  explicit CrashMedium(std::vector<std::byte> image);

  // What happened next.
  void Take(const IoEvent& event);
  // Writes that a power cut now may lose, in the order in which they were made.
  size_t pending() const { return pending_.size(); }
  size_t sectors(size_t write) const { return pending_[write].superseded.size(); }

  // Makes the image in which those sectors survive, until Undo.
  void Survive(const std::function<bool(size_t write, size_t sector)>& survives);
  void Undo();

  // Equal for equal bytes; kept while sectors change.
  uint64_t hash() const { return hash_; }
  // May be changed by whoever puts it back before Undo.
  std::vector<std::byte>& image() { return image_; }

 private:
  struct Pending {
    uint64_t first_sector;
    std::vector<std::byte> data;
    bool doubtful = false;
    std::vector<bool> superseded;  // By sector: something later is durable there.
  };
  struct OldSector {
    uint64_t sector;
    std::vector<std::byte> bytes;
  };

  void Flush();
  void WriteSector(uint64_t sector, const std::byte* bytes);
  uint64_t HashOf(uint64_t sector) const;

  std::vector<std::byte> image_;
  uint64_t hash_ = 0;
  std::vector<Pending> pending_;
  std::vector<OldSector> undo_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_CRASH_MEDIUM_H_
