#include "core/base/huge_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "core/base/check.h"
#include "core/base/ids.h"

namespace dmcached {
namespace {

// Of arm64 there are kernels with 16 and 64 KiB.
size_t PageBytes() { return static_cast<size_t>(sysconf(_SC_PAGESIZE)); }

std::byte* Map(size_t size_bytes) {
  void* memory = mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  DMCACHED_CHECK(memory != MAP_FAILED);
  return static_cast<std::byte*>(memory);
}

}  // namespace

HugeMemory::HugeMemory(size_t size_bytes) : size_bytes_(size_bytes) {
  if (size_bytes == 0) return;
  if (size_bytes < kHugePageBytes) {
    data_ = Map(size_bytes);
    return;
  }
  // One huge page more; what lies before the aligned part and behind it is given back.  Whole pages only.
  const size_t kept = CeilDiv(size_bytes, PageBytes()) * PageBytes();
  std::byte* mapped = Map(kept + kHugePageBytes);
  const size_t before = (kHugePageBytes - reinterpret_cast<uintptr_t>(mapped) % kHugePageBytes) % kHugePageBytes;
  data_ = mapped + before;
  if (before > 0) munmap(mapped, before);
  munmap(data_ + kept, kHugePageBytes - before);
  madvise(data_, kept, MADV_HUGEPAGE);  // A wish.
}

void HugeMemory::Populate(size_t offset, size_t size_bytes) const {
  const size_t begin = offset / PageBytes() * PageBytes();
  const size_t end = offset + size_bytes;
  if (begin < end) madvise(data_ + begin, end - begin, MADV_POPULATE_WRITE);  // A wish, which Linux has had since 5.14.
}

HugeMemory::~HugeMemory() {
  if (data_ != nullptr) munmap(data_, size_bytes_);
}

}  // namespace dmcached
