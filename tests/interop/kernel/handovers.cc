#include "tests/interop/kernel/handovers.h"

#include <atomic>
#include <deque>
#include <span>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tests/interop/kernel/guest.h"
#include "tests/interop/kernel/process.h"
#include "tests/support/alarms.h"

namespace dmcached {
namespace {

// Something is wrong with everything: more would say no more.
constexpr uint64_t kTooManyDifferences = 200;

constexpr uint64_t kMetadataBytes = 4 << 20;

// A third of the caches has an origin with more cache blocks than there can be discard blocks, so that a discard block
// is four of them, and the last one is short.
constexpr uint64_t kManyOriginBlocks = 40001;

FormatParams ParamsOf(uint32_t cache) {
  FormatParams params;
  params.version = 1 + cache % 2;
  params.data_block_size = Sectors(kDataBlockSectors);
  params.cache_blocks = kMinCacheBlocks;
  params.origin_size = Sectors(kDataBlockSectors * (cache / 2 % 3 == 2 ? kManyOriginBlocks : kOriginBlocks));
  params.policy_name = "smq";
  // Of two caches a crash makes every block dirty.
  if (cache / 2 == 4) params.dirty_tracking = DirtyTracking::kConservative;
  return params;
}

// Without the clean flag every block is dirty and no discard counts.
CacheContents AsTheKernelSees(CacheContents contents) {
  if (contents.clean_shutdown) return contents;
  for (auto& [cblock, to] : contents.mappings) to.dirty = true;
  contents.discards.assign(contents.discards.size(), false);
  return contents;
}

}  // namespace

Handovers::Handovers(std::string system_folder, uint64_t seed, Findings& findings)
    : system_folder_(std::move(system_folder)),
      random_(seed),
      findings_(findings),
      disks_{.fast = DataDisk(folder_.File("fast"), kCaches, kFastBlocks),
             .origin = DataDisk(folder_.File("origin"), kCaches, kOriginBlocks),
             .view = DataDisk(folder_.File("view"), kCaches, kOriginBlocks),
             .writes = DataDisk(folder_.File("writes"), kCaches, kOriginBlocks)} {
  callers_.reserve(kCaches);
  for (uint32_t k = 0; k < kCaches; ++k) {
    const std::string name = absl::StrCat("cache", k);
    callers_.emplace_back(name, folder_.CreateFile(name, kMetadataBytes), ParamsOf(k), findings_);
  }
}

// In a round every work is done on one cache of each version; a cache goes from one work to the next.
KernelWork Handovers::WorkOf(uint32_t cache) const {
  return static_cast<KernelWork>((cache / 2 + round_) % kKernelWorks);
}

void Handovers::SetContext(uint32_t cache, const std::string& stage) {
  findings_.SetContext(absl::StrCat("handover ", round_ + 1, ", cache ", cache, " (version ", 1 + cache % 2, ", ",
                                    ToText(WorkOf(cache)), "), ", stage));
}

absl::Status Handovers::Next() {
  ServiceHasIt();
  CompareClosed();
  if (findings_.differences() > kTooManyDifferences) {
    return absl::InternalError("too many differences; the daemon's log ends with\n" +
                               LastWords(FileText(folder_.File("daemon-log"))));
  }
  const absl::Status status = KernelHasIt();
  ++round_;
  return status;
}

void Handovers::Finish() {
  Daemon daemon(folder_.path());
  OpenAll(daemon.client());
  const int exit_code = daemon.Stop();
  findings_.Expect(exit_code == 0, absl::StrCat("the daemon ends with ", exit_code));
  for (uint32_t k = 0; k < kCaches; ++k) {
    SetContext(k, "closed at the end");
    findings_.Compare(Judge(k).Faults());
  }
}

WalkedImage Handovers::Judge(uint32_t cache) {
  const std::string image = FileText(callers_[cache].metadata_path());
  const auto bytes = std::as_bytes(std::span<const char>(image));
  findings_.Compare(Alarms(bytes).ToString());
  return WalkImage(bytes);
}

void Handovers::OpenAll(client::Client& client) {
  for (uint32_t k = 0; k < kCaches; ++k) {
    SetContext(k, "opened by dmcached");
    if (media_.empty()) {
      callers_[k].Create(client);
    } else {
      figures_.adoptions += media_[k].clean_shutdown ? 0 : 1;
      callers_[k].Open(client, media_[k]);
    }
  }
}

void Handovers::ServiceHasIt() {
  Daemon daemon(folder_.path());
  OpenAll(daemon.client());
  for (uint32_t k = 0; k < kCaches; ++k) {
    SetContext(k, "changed by dmcached");
    callers_[k].ChangeAtRandom(daemon.client(), random_);
    callers_[k].CompareWithModel(daemon.client());
    if (IsKilled(k)) continue;
    callers_[k].Close(daemon.client());
    ++figures_.clean_closes;
  }
  CrashUnderLoad(daemon);
}

void Handovers::CrashUnderLoad(Daemon& daemon) {
  const uint64_t answers_until_crash = random_.Between(1, 200);
  std::atomic<uint64_t> answers = 0;
  std::vector<std::thread> threads;
  for (uint32_t k = 0; k < kCaches; ++k) {
    if (!IsKilled(k)) continue;
    threads.emplace_back([&, k, seed = random_.Next()] {
      callers_[k].MarkUntilUnanswered(daemon.client(), seed, [&] {
        if (++answers == answers_until_crash) daemon.Crash();
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
  findings_.SetContext(absl::StrCat("handover ", round_ + 1));
  findings_.Expect(answers >= answers_until_crash, "the daemon has ended by itself");
  figures_.marks_under_kill += answers;
  ++figures_.daemon_kills;
}

void Handovers::CompareClosed() {
  for (uint32_t k = 0; k < kCaches; ++k) {
    SetContext(k, IsKilled(k) ? "after kill -9 of dmcached" : "closed by dmcached");
    const WalkedImage image = Judge(k);
    findings_.Compare(image.Faults());
    callers_[k].Settle(image.contents);
    findings_.Compare(Difference(image.contents, callers_[k].expected()));
  }
}

void Handovers::Count(const CacheContents& before, KernelWork work) {
  const uint64_t oblocks_per_dblock = before.discard_block_size / before.data_block_size;
  for (const auto& [cblock, to] : before.mappings) {
    ++figures_.mapped_blocks;
    if (!to.dirty) continue;
    ++figures_.dirty_blocks;
    if (work != KernelWork::kClean) continue;
    ++(before.discards.at(to.oblock / oblocks_per_dblock) ? figures_.not_written_back : figures_.written_back);
  }
}

absl::Status Handovers::KernelHasIt() {
  Guest guest(system_folder_, folder_.path());
  for (const DataDisk* disk : {&disks_.fast, &disks_.origin, &disks_.view, &disks_.writes}) {
    guest.AddDisk(disk->path().substr(folder_.path().size() + 1), disk->path());
  }
  std::deque<KernelTask> tasks;  // Its elements stay where they are.
  std::string script;
  std::string cut_script;  // What is active when the power goes comes last.
  for (uint32_t k = 0; k < kCaches; ++k) {
    guest.AddDisk(absl::StrCat("meta", k), callers_[k].metadata_path());
    const CacheContents before = AsTheKernelSees(callers_[k].expected());
    Count(before, WorkOf(k));
    tasks.emplace_back(KernelTaskParams{.work = WorkOf(k),
                                        .cache = static_cast<uint8_t>(k),
                                        .round = round_,
                                        .origin_sectors = callers_[k].origin_sectors(),
                                        .before = before},
                       disks_, random_, findings_);
    (WorkOf(k) == KernelWork::kCut ? cut_script : script) += tasks.back().Script();
  }
  absl::StatusOr<GuestReport> report = guest.Run(script + cut_script + "echo @ cut\nsleep 600\n");
  if (!report.ok()) return report.status();
  ++figures_.boots;
  figures_.activations += kCaches;
  figures_.power_cuts += report->power_cut ? 1 : 0;

  findings_.SetContext(absl::StrCat("handover ", round_ + 1, ", guest"));
  for (const std::string& line : report->lines) findings_.Expect(absl::StartsWith(line, "status "), line);
  // `quiet` leaves only what the kernel takes for an error.
  findings_.Expect(!absl::StrContains(report->kernel_log, "device-mapper"), report->kernel_log);
  findings_.Expect(report->power_cut, "the power was not cut");
  media_.clear();
  absl::Status status;
  for (uint32_t k = 0; k < kCaches; ++k) {
    SetContext(k, "after the kernel");
    const WalkedImage image = Judge(k);
    for (const std::string& problem : image.problems) findings_.Compare(problem);
    if (image.problems.empty()) {
      tasks[k].Compare(image.contents, report->lines);
    } else {
      status = absl::DataLossError("no handover goes on from damaged metadata");
    }
    media_.push_back(image.contents);
  }
  return status;
}

}  // namespace dmcached
