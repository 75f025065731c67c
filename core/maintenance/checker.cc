#include "core/maintenance/checker.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/base/aligned_buffer.h"
#include "core/base/status.h"
#include "core/maintenance/array_check.h"
#include "core/maintenance/space_map_check.h"
#include "core/maintenance/superblock_check.h"

namespace dmcached {
namespace {

// Another transaction's superblock may be on its way to the device while block 0 is read, so one bad read says nothing.
constexpr int kSuperblockReads = 16;

// One check from beginning to end.
class Check {
 public:
  Check(CheckSource& source, const CheckOptions& options, CheckSink& sink)
      : source_(source), options_(options), sink_(sink), reader_(source, options.executor, [this](uint64_t blocks) {
          summary_.blocks_read += blocks;
          total_ = std::max(total_, summary_.blocks_read);
          sink_.OnProgress(summary_.blocks_read, total_);
        }) {}

  absl::StatusOr<CheckSummary> Run() {
    DMCACHED_ASSIGN_OR_RETURN(const std::optional<Superblock> superblock, ReadSuperblock());
    if (superblock.has_value()) {
      DMCACHED_RETURN_IF_ERROR(CheckState(*superblock));
    }
    Emit(nullptr);
    sink_.OnProgress(summary_.blocks_read, summary_.blocks_read);
    return summary_;
  }

 private:
  // The one to walk from; nothing if there is none.
  absl::StatusOr<std::optional<Superblock>> ReadSuperblock();
  absl::Status CheckState(const Superblock& superblock);
  absl::Status CheckArray(CheckContext& context, ArrayCheck& check, const ArrayShape& shape);
  std::vector<ArrayShape> Shapes(const Superblock& superblock) const;
  // Hands the gathered findings to the sink, with what they affect.
  void Emit(CblockBits* states);

  CheckSource& source_;
  const CheckOptions& options_;
  CheckSink& sink_;
  CheckSummary summary_;
  uint64_t total_ = 0;
  TolerantReader reader_;
  FindingCollector findings_;
  std::vector<SpaceMapCheck::WalkedArray> arrays_;
};

absl::StatusOr<std::optional<Superblock>> Check::ReadSuperblock() {
  AlignedBuffer block(kMetadataBlockBytes);
  const int most = options_.superblock.has_value() ? kSuperblockReads : 1;
  std::optional<Superblock> found;
  for (int i = 0; i < most && !found.has_value(); ++i) {
    findings_ = FindingCollector();
    const absl::Status read = source_.blocks() > 0
                                  ? source_.Read(MetadataBlock(kSuperblockLocation), block.span())
                                  : MakeError(Reason::kMetadataCorrupt, "the device is smaller than a metadata block");
    DMCACHED_RETURN_IF_ERROR(source_.Interrupted());
    if (!read.ok()) {
      Finding unreadable;
      unreadable.block = MetadataBlock(kSuperblockLocation);
      unreadable.message = absl::StrCat("superblock: ", read.message());
      findings_.Add(std::move(unreadable));
    } else if (!options_.superblock.has_value() && IsUnformatted(block.span())) {
      return MakeError(Reason::kNotFormatted, "block 0 is all zeros");
    } else {
      found = CheckSuperblockBytes(block.span(), findings_);
    }
  }
  ++summary_.blocks_read;
  return options_.superblock.has_value() ? options_.superblock : found;
}

std::vector<ArrayShape> Check::Shapes(const Superblock& superblock) const {
  const uint32_t cache_blocks = superblock.cache_blocks;
  std::vector<ArrayShape> shapes = {{ArrayKind::kMappings, superblock.mapping_root, cache_blocks, cache_blocks}};
  if (superblock.version >= 2) {
    shapes.push_back({ArrayKind::kDirty, superblock.dirty_root, CeilDiv(cache_blocks, kBitsPerWord), cache_blocks});
  }
  shapes.push_back(
      {ArrayKind::kDiscards, superblock.discard_root, CeilDiv(superblock.discard_blocks, kBitsPerWord), cache_blocks});
  if (superblock.hint_root.value() != 0) {
    shapes.push_back({ArrayKind::kHints, superblock.hint_root, cache_blocks, cache_blocks});
  }
  return shapes;
}

absl::Status Check::CheckArray(CheckContext& context, ArrayCheck& check, const ArrayShape& shape) {
  DMCACHED_ASSIGN_OR_RETURN(WalkedIndex index, IndexWalk(context, shape).Run());
  arrays_.push_back({shape, std::move(index)});
  const WalkedIndex& walked = arrays_.back().index;
  switch (shape.kind) {
    case ArrayKind::kMappings:
      return check.Mappings(shape, walked);
    case ArrayKind::kDirty:
      return check.DirtyBits(shape, walked);
    case ArrayKind::kDiscards:
      return check.Discards(shape, walked);
    case ArrayKind::kHints:
      return check.Hints(shape, walked);
  }
  return absl::OkStatus();
}

absl::Status Check::CheckState(const Superblock& superblock) {
  summary_.cache_blocks = superblock.cache_blocks;
  summary_.clean_shutdown = superblock.clean_shutdown;
  summary_.needs_check = superblock.needs_check;
  ReachMap reach(CheckSuperblockFields(superblock, source_.blocks(), findings_));
  reach.Add(kSuperblockLocation, Referrer::kSuperblock);
  summary_.metadata_blocks = reach.blocks();
  total_ = std::min(superblock.space_map.allocated, reach.blocks());
  CheckContext context{superblock, reach, findings_, reader_};
  SpaceMapCheck space_map(context);
  DMCACHED_RETURN_IF_ERROR(space_map.Load());
  // No more mappings can be there than the device's blocks hold, whatever the superblock says.
  CblockBits states(std::min<uint64_t>(superblock.cache_blocks, reach.blocks() * kArrayWordsPerBlock));
  ArrayCheck check(context, states);
  for (const ArrayShape& shape : Shapes(superblock)) {
    DMCACHED_RETURN_IF_ERROR(CheckArray(context, check, shape));
  }
  Emit(&states);
  space_map.Compare(arrays_);
  summary_.used = space_map.used();
  summary_.leaked = space_map.leaked();
  const CblockBits::Counts counts = states.CountKnown(!superblock.clean_shutdown);
  summary_.mapped = counts.mappings;
  summary_.dirty = counts.dirty;
  Emit(&states);
  return absl::OkStatus();
}

void Check::Emit(CblockBits* states) {
  for (Finding& finding : findings_.Take()) {
    if (states != nullptr && finding.cblocks.has_value()) {
      const CblockBits::Counts counts = states->CountPossible(*finding.cblocks, !summary_.clean_shutdown);
      finding.mappings = counts.mappings;
      finding.dirty = counts.dirty;
    }
    ++summary_.findings[static_cast<size_t>(finding.severity)];
    sink_.OnFinding(finding);
  }
}

}  // namespace

absl::StatusOr<CheckSummary> CheckMetadata(CheckSource& source, const CheckOptions& options, CheckSink& sink) {
  return Check(source, options, sink).Run();
}

}  // namespace dmcached
