#include "core/maintenance/tolerant_reader.h"

#include <algorithm>
#include <utility>

#include "core/base/parallel.h"
#include "core/base/status.h"

namespace dmcached {

TolerantReader::TolerantReader(CheckSource& source, Executor* executor, std::function<void(uint64_t)> on_read)
    : source_(source), executor_(executor), on_read_(std::move(on_read)) {}

void TolerantReader::ReadChunk(BlockType type, std::span<const uint32_t> locations, size_t first) {
  const auto bytes_of = [&](size_t i, size_t count) {
    return buffer_.span().subspan((first + i) * kMetadataBlockBytes, count * kMetadataBlockBytes);
  };
  for (size_t begin = 0; begin < locations.size();) {
    size_t end = begin + 1;
    while (end < locations.size() && locations[end] == locations[end - 1] + 1) ++end;
    const absl::Status together = source_.Read(MetadataBlock(locations[begin]), bytes_of(begin, end - begin));
    for (size_t i = begin; i < end; ++i) {
      const MetadataBlock location(locations[i]);
      // One bad block fails the whole request, so its neighbours get another.
      absl::Status status = together.ok() || end - begin == 1 ? together : source_.Read(location, bytes_of(i, 1));
      if (status.ok()) status = CheckBlock(type, location, bytes_of(i, 1));
      checked_[first + i] = std::move(status);
    }
    begin = end;
  }
}

absl::Status TolerantReader::ReadAll(BlockType type, std::span<const uint32_t> locations, const Visit& visit) {
  constexpr size_t kWave = kChunks * kChunkBlocks;
  const size_t most = std::min(kWave, locations.size());
  if (buffer_.size() < most * kMetadataBlockBytes) {
    buffer_ = AlignedBuffer(most * kMetadataBlockBytes);
    checked_.resize(most);
  }
  for (size_t begin = 0; begin < locations.size(); begin += kWave) {
    const auto wave = locations.subspan(begin, std::min(kWave, locations.size() - begin));
    RunParallel(executor_, CeilDiv(wave.size(), kChunkBlocks), [&](size_t chunk) {
      const size_t first = chunk * kChunkBlocks;
      ReadChunk(type, wave.subspan(first, std::min(kChunkBlocks, wave.size() - first)), first);
    });
    DMCACHED_RETURN_IF_ERROR(source_.Interrupted());
    for (size_t i = 0; i < wave.size(); ++i) {
      visit(begin + i, checked_[i],
            std::as_const(buffer_).span().subspan(i * kMetadataBlockBytes, kMetadataBlockBytes));
    }
    on_read_(wave.size());
  }
  return absl::OkStatus();
}

}  // namespace dmcached
