// Little-endian integers as they lie on a disk: byte arrays, so that a struct of them has no padding, needs no
// alignment, and can be laid over any buffer.
#ifndef DMCACHED_CORE_BASE_LE_H_
#define DMCACHED_CORE_BASE_LE_H_

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "core/base/check.h"

namespace dmcached {

namespace le_internal {

template <std::unsigned_integral T>
constexpr T ByteSwapped(T value) {
  T swapped = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    swapped = static_cast<T>((static_cast<uint64_t>(swapped) << 8) | (value & 0xFF));
    value = static_cast<T>(static_cast<uint64_t>(value) >> 8);
  }
  return swapped;
}

template <std::unsigned_integral T>
constexpr T HostToLe(T value) {
  if constexpr (std::endian::native == std::endian::little) {
    return value;
  } else {
    return ByteSwapped(value);
  }
}

}  // namespace le_internal

// Reads the integer at `bytes`, which needs no alignment.
template <std::unsigned_integral T>
T LoadLe(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return le_internal::HostToLe(value);
}

// Writes the integer at `bytes`, which needs no alignment.
template <std::unsigned_integral T>
void StoreLe(std::byte* bytes, T value) {
  value = le_internal::HostToLe(value);
  std::memcpy(bytes, &value, sizeof(T));
}

// An integer field of a disk struct.  Conversions are spelled out, so that no disk value is used by accident.
template <std::unsigned_integral T>
class Le {
 public:
  Le() = default;  // Uninitialised, as a plain integer; `DiskStruct s{}` is all zeros.
  explicit Le(T value) { store(value); }

  T load() const { return LoadLe<T>(bytes_); }
  void store(T value) { StoreLe<T>(bytes_, value); }

 private:
  std::byte bytes_[sizeof(T)];
};

using Le32 = Le<uint32_t>;
using Le64 = Le<uint64_t>;

static_assert(sizeof(Le32) == 4 && alignof(Le32) == 1 && std::is_trivially_copyable_v<Le32>);
static_assert(sizeof(Le64) == 8 && alignof(Le64) == 1 && std::is_trivially_copyable_v<Le64>);

template <typename T>
concept DiskStruct = alignof(T) == 1 && std::is_trivially_copyable_v<T>;

// The disk struct that lies at `offset_bytes` of `bytes`, in place.  It must lie within.
template <DiskStruct T>
const T& DiskView(std::span<const std::byte> bytes, size_t offset_bytes = 0) {
  DMCACHED_CHECK(offset_bytes <= bytes.size() && sizeof(T) <= bytes.size() - offset_bytes);
  return *reinterpret_cast<const T*>(bytes.data() + offset_bytes);
}

template <DiskStruct T>
T& MutableDiskView(std::span<std::byte> bytes, size_t offset_bytes = 0) {
  DMCACHED_CHECK(offset_bytes <= bytes.size() && sizeof(T) <= bytes.size() - offset_bytes);
  return *reinterpret_cast<T*>(bytes.data() + offset_bytes);
}

}  // namespace dmcached

#endif  // DMCACHED_CORE_BASE_LE_H_
