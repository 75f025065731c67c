#include "core/store/packed_array.h"

#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"

namespace dmcached {

const char* ArrayKindName(ArrayKind kind) {
  switch (kind) {
    case ArrayKind::kMappings:
      return "mapping array";
    case ArrayKind::kDirty:
      return "dirty bitset";
    case ArrayKind::kDiscards:
      return "discard bitset";
    case ArrayKind::kHints:
      return "hint array";
  }
  return "array";
}

absl::Status CheckArrayHeader(MetadataBlock location, uint32_t value_size, uint64_t entries,
                              std::span<const std::byte> block) {
  const auto& header = DiskView<DiskArrayBlockHeader>(block);
  const uint32_t max_entries = ArrayMaxEntries(value_size);
  const uint32_t found = header.nr_entries.load();
  if (header.value_size.load() == value_size && header.max_entries.load() == max_entries && found <= max_entries &&
      found >= entries) {
    return absl::OkStatus();
  }
  return MakeError(Reason::kMetadataCorrupt,
                   absl::StrCat("array block ", location.value(), ": value size ", header.value_size.load(), ", ",
                                found, " of at most ", header.max_entries.load(), " entries; expected value size ",
                                value_size, ", at least ", entries, " of ", max_entries));
}

void InitArrayBlock(uint32_t value_size, uint32_t entries, std::span<std::byte> block) {
  auto& header = MutableDiskView<DiskArrayBlockHeader>(block);
  header.max_entries.store(ArrayMaxEntries(value_size));
  header.nr_entries.store(entries);
  header.value_size.store(value_size);
}

void CopyUnsealed(std::span<const std::byte> from, std::span<std::byte> to) {
  const auto copy = [&](size_t begin, size_t end) { std::memcpy(to.data() + begin, from.data() + begin, end - begin); };
  copy(offsetof(DiskArrayBlockHeader, max_entries), offsetof(DiskArrayBlockHeader, blocknr));
  copy(sizeof(DiskArrayBlockHeader), kMetadataBlockBytes);
}

}  // namespace dmcached
