#include "core/maintenance/tolerant_reader.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <utility>

#include "core/base/parallel.h"
#include "core/base/status.h"

namespace dmcached {

TolerantReader::TolerantReader(CheckSource& source, Executor* executor, std::function<void(uint64_t)> on_read)
    : source_(source), executor_(executor), on_read_(std::move(on_read)) {}

void TolerantReader::ReadChunk(const Wave& wave, size_t lane, size_t first) {
  const std::span<const uint32_t> locations = wave.locations;
  const size_t last = std::min(first + kChunkBlocks, wave.end);
  const auto bytes_of = [&](size_t i, size_t count) {
    return buffers_[lane].span().subspan((i - first) * kMetadataBlockBytes, count * kMetadataBlockBytes);
  };
  for (size_t begin = first; begin < last;) {
    size_t end = begin + 1;
    while (end < last && locations[end] == locations[end - 1] + 1) ++end;
    const absl::Status together = source_.Read(MetadataBlock(locations[begin]), bytes_of(begin, end - begin));
    for (size_t i = begin; i < end; ++i) {
      const MetadataBlock location(locations[i]);
      const std::span<std::byte> block = bytes_of(i, 1);
      // One bad block fails the whole request, so its neighbours get another.
      absl::Status status = together.ok() || end - begin == 1 ? together : source_.Read(location, block);
      if (status.ok()) status = CheckBlock(wave.type, location, block);
      if (status.ok() && wave.take != nullptr && wave.take(lane, i, block)) continue;
      left_[lane].push_back({i, std::move(status), {block.begin(), block.end()}});
      ++left_blocks_;
    }
    begin = end;
  }
}

size_t TolerantReader::ReadWave(const Wave& wave) {
  const size_t chunks = CeilDiv(wave.end - wave.begin, kChunkBlocks);
  std::atomic<size_t> next{0};
  left_blocks_ = 0;
  RunParallel(executor_, std::min(kLanes, chunks), [&](size_t lane) {
    const size_t bytes = std::min(kChunkBlocks, wave.end - wave.begin) * kMetadataBlockBytes;
    if (buffers_[lane].size() < bytes) buffers_[lane] = AlignedBuffer(bytes);
    while (left_blocks_ < kMostLeftBlocks) {
      const size_t chunk = next++;
      if (chunk >= chunks) break;
      ReadChunk(wave, lane, wave.begin + chunk * kChunkBlocks);
    }
  });
  return std::min(wave.begin + next * kChunkBlocks, wave.end);
}

std::vector<TolerantReader::Left> TolerantReader::TakeLeft() {
  std::vector<Left> left;
  for (std::vector<Left>& of_lane : left_) {
    left.insert(left.end(), std::make_move_iterator(of_lane.begin()), std::make_move_iterator(of_lane.end()));
    of_lane.clear();
  }
  std::sort(left.begin(), left.end(), [](const Left& a, const Left& b) { return a.i < b.i; });
  return left;
}

absl::Status TolerantReader::ReadAll(BlockType type, std::span<const uint32_t> locations, const Visit& visit,
                                     const Take& take) {
  for (size_t begin = 0; begin < locations.size();) {
    const size_t end = ReadWave({.type = type,
                                 .locations = locations,
                                 .begin = begin,
                                 .end = std::min(begin + kWaveBlocks, locations.size()),
                                 .take = take});
    const std::vector<Left> left = TakeLeft();
    DMCACHED_RETURN_IF_ERROR(source_.Interrupted());
    for (const Left& block : left) visit(block.i, block.checked, block.block);
    on_read_(end - begin);
    begin = end;
  }
  return absl::OkStatus();
}

}  // namespace dmcached
