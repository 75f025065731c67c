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

void TolerantReader::Leave(size_t lane, size_t i, absl::Status checked, std::span<const std::byte> block) {
  if (checked.ok()) std::copy(block.begin(), block.end(), left_bytes_.data() + i * kMetadataBlockBytes);
  left_[lane].push_back({i, std::move(checked)});
}

void TolerantReader::ReadChunk(BlockType type, std::span<const uint32_t> wave, size_t lane, size_t first,
                               const Take& take) {
  const size_t last = std::min(first + kChunkBlocks, wave.size());
  const auto bytes_of = [&](size_t i, size_t count) {
    return buffers_[lane].span().subspan((i - first) * kMetadataBlockBytes, count * kMetadataBlockBytes);
  };
  for (size_t begin = first; begin < last;) {
    size_t end = begin + 1;
    while (end < last && wave[end] == wave[end - 1] + 1) ++end;
    const absl::Status together = source_.Read(MetadataBlock(wave[begin]), bytes_of(begin, end - begin));
    for (size_t i = begin; i < end; ++i) {
      const MetadataBlock location(wave[i]);
      // One bad block fails the whole request, so its neighbours get another.
      absl::Status status = together.ok() || end - begin == 1 ? together : source_.Read(location, bytes_of(i, 1));
      if (status.ok()) status = CheckBlock(type, location, bytes_of(i, 1));
      if (status.ok() && take != nullptr && take(lane, i, bytes_of(i, 1))) continue;
      Leave(lane, i, std::move(status), bytes_of(i, 1));
    }
    begin = end;
  }
}

std::vector<TolerantReader::Left> TolerantReader::ReadWave(BlockType type, std::span<const uint32_t> wave,
                                                           const Take& take) {
  const size_t chunks = CeilDiv(wave.size(), kChunkBlocks);
  std::atomic<size_t> next{0};
  RunParallel(executor_, std::min(kLanes, chunks), [&](size_t lane) {
    const size_t bytes = std::min(kChunkBlocks, wave.size()) * kMetadataBlockBytes;
    if (buffers_[lane].size() < bytes) buffers_[lane] = AlignedBuffer(bytes);
    for (size_t chunk = next++; chunk < chunks; chunk = next++) {
      ReadChunk(type, wave, lane, chunk * kChunkBlocks, take);
    }
  });
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
  const size_t most_bytes = std::min(kWaveBlocks, locations.size()) * kMetadataBlockBytes;
  if (left_bytes_.size_bytes() < most_bytes) left_bytes_ = HugeMemory(most_bytes);
  for (size_t begin = 0; begin < locations.size(); begin += kWaveBlocks) {
    const auto wave = locations.subspan(begin, std::min(kWaveBlocks, locations.size() - begin));
    const auto take_at = [&](size_t lane, size_t i, std::span<const std::byte> block) {
      return take(lane, begin + i, block);
    };
    const std::vector<Left> left = ReadWave(type, wave, take == nullptr ? Take() : Take(take_at));
    DMCACHED_RETURN_IF_ERROR(source_.Interrupted());
    for (const Left& block : left) {
      visit(begin + block.i, block.checked,
            std::span<const std::byte>(left_bytes_.data() + block.i * kMetadataBlockBytes, kMetadataBlockBytes));
    }
    on_read_(wave.size());
  }
  return absl::OkStatus();
}

}  // namespace dmcached
