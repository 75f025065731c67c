// Memory that O_DIRECT accepts.
#ifndef DMCACHED_CORE_BASE_ALIGNED_BUFFER_H_
#define DMCACHED_CORE_BASE_ALIGNED_BUFFER_H_

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

#include "core/base/check.h"

namespace dmcached {

// Owns `size()` bytes, zero at first, at an address that is a multiple of 4096.  Dies when memory runs out.
class AlignedBuffer {  // Not thread-safe.
 public:
  static constexpr size_t kAlignmentBytes = 4096;

  AlignedBuffer() = default;
  explicit AlignedBuffer(size_t size_bytes) : size_(size_bytes) {
    if (size_bytes == 0) return;
    // aligned_alloc wants a multiple of the alignment.
    const size_t rounded = (size_bytes + kAlignmentBytes - 1) / kAlignmentBytes * kAlignmentBytes;
    data_.reset(static_cast<std::byte*>(std::aligned_alloc(kAlignmentBytes, rounded)));
    DMCACHED_CHECK(data_ != nullptr);
    std::memset(data_.get(), 0, rounded);
  }
  AlignedBuffer(AlignedBuffer&& other) noexcept : size_(std::exchange(other.size_, 0)), data_(std::move(other.data_)) {}
  AlignedBuffer& operator=(AlignedBuffer&& other) noexcept {
    size_ = std::exchange(other.size_, 0);
    data_ = std::move(other.data_);
    return *this;
  }

  size_t size() const { return size_; }
  std::byte* data() { return data_.get(); }
  const std::byte* data() const { return data_.get(); }
  std::span<std::byte> span() { return {data_.get(), size_}; }
  std::span<const std::byte> span() const { return {data_.get(), size_}; }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };

  size_t size_ = 0;
  std::unique_ptr<std::byte, Free> data_;
};

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_ALIGNED_BUFFER_H_
