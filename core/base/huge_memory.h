// Large zeroed memory that is read at random: in huge pages where the machine has them, so that an access costs one
// cache miss and not a walk through page tables as well.
#ifndef DMCACHED_CORE_BASE_HUGE_MEMORY_H_
#define DMCACHED_CORE_BASE_HUGE_MEMORY_H_

#include <cstddef>
#include <utility>

namespace dmcached {

// Owns `size_bytes` bytes, zero at first, at a multiple of 4096; of 2 MiB where there are that many.  Memory is taken
// from the system when it is first touched.  Dies when there is none.
class HugeMemory {  // Not thread-safe.
 public:
  static constexpr size_t kHugePageBytes = 2 << 20;

  HugeMemory() = default;
  explicit HugeMemory(size_t size_bytes);
  HugeMemory(HugeMemory&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}
  HugeMemory& operator=(HugeMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_bytes_, other.size_bytes_);
    return *this;
  }
  ~HugeMemory();

  // Takes the `size_bytes` bytes from `offset` on from the system now, which is quicker than page by page, and much
  // quicker where memory is read before it is written to: then the first access is given a page of zeros that all
  // share, and the second one another, of which every processor must hear.  What they hold stays.
  void Populate(size_t offset, size_t size_bytes) const;

  std::byte* data() const { return data_; }
  size_t size_bytes() const { return size_bytes_; }

 private:
  std::byte* data_ = nullptr;
  size_t size_bytes_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_HUGE_MEMORY_H_
