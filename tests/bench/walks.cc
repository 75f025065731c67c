#include "tests/bench/walks.h"

#include <memory>
#include <optional>

#include "core/cache/snapshot_reader.h"
#include "core/device/file_device.h"
#include "core/maintenance/path_check.h"
#include "tests/bench/metadata_file.h"
#include "tests/bench/run.h"

namespace dmcached::bench {
namespace {

class NoSink : public CheckSink {
 public:
  void OnProgress(uint64_t, uint64_t) override {}
  void OnFinding(const Finding&) override {}
};

}  // namespace

double OpenSeconds(const std::string& path, Executor& helpers) {
  const double begin = Now();
  const auto opened = OpenMetadata(path, helpers);
  return Now() - begin;
}

double CheckSeconds(const std::string& path, Executor& helpers) {
  NoSink sink;
  const auto opener = [](const DeviceRequest& request) { return OpenFileDevice(request, nullptr); };
  const double begin = Now();
  const absl::StatusOr<CheckOutcome> outcome =
      CheckPath(opener, {.path = path, .clear_needs_check = false, .executor = &helpers, .interrupted = nullptr}, sink);
  const double took = Now() - begin;
  if (!outcome.ok() || !outcome->summary.sound()) GiveUp("the check of " + path + " failed");
  return took;
}

double ListSeconds(const std::string& path, Executor& helpers, const Clock& clock) {
  const std::unique_ptr<CacheMetadata> metadata = OpenMetadata(path, helpers);
  SnapshotReader reader({.device = metadata->device(),
                         .snapshot = metadata->store().TakeSnapshot(),
                         .incarnation = 1,
                         .assume_all_dirty = false,
                         .on_damage = [](const absl::Status&) {}},
                        clock);
  uint64_t mappings = 0;
  const double begin = Now();
  for (std::optional<Cblock> from = Cblock(0); from.has_value();) {
    absl::StatusOr<MappingPage> page = reader.ReadMappings({}, *from, 16384);
    if (!page.ok()) GiveUp("list: " + page.status().ToString());
    mappings += page->cblocks.size();
    from = page->next;
  }
  const double took = Now() - begin;
  if (mappings != metadata->mapped_blocks()) GiveUp("the list is not complete");
  return took;
}

}  // namespace dmcached::bench
