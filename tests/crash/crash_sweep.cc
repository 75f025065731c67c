#include "tests/crash/crash_sweep.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/crash/image_judge.h"

namespace dmcached {
namespace {

// For each pending write, which of its sectors survive.
std::vector<std::vector<bool>> ChooseSurvivors(const CrashMedium& medium, Random& random) {
  enum { kMissing, kWhole, kTorn };
  std::vector<std::vector<bool>> survivors(medium.pending());
  for (size_t write = 0; write < survivors.size(); ++write) {
    const uint64_t fate = random.Below(3);
    survivors[write].assign(medium.sectors(write), fate == kWhole);
    if (fate != kTorn) continue;
    for (auto sector : survivors[write]) sector = random.OneIn(2);
  }
  return survivors;
}

}  // namespace

bool DistinctImages::Add(uint64_t hash) {
  MutexLock lock(mutex_);
  return hashes_.insert(hash).second;
}

size_t DistinctImages::count() const {
  MutexLock lock(mutex_);
  return hashes_.size();
}

SweepNumbers& SweepNumbers::operator+=(const SweepNumbers& other) {
  boundaries += other.boundaries;
  images += other.images;
  judged += other.judged;
  second_cuts += other.second_cuts;
  return *this;
}

std::string CrashSweep::Run() {
  if (!history_.failure.empty()) return history_.failure;
  CrashMedium medium(history_.initial);
  for (size_t i = 0; i < history_.boundaries.size(); ++i) {
    const Boundary& boundary = history_.boundaries[i];
    medium.Take(boundary.event);
    if (boundary.allowed.empty()) continue;
    ++numbers_.boundaries;
    const std::string wrong = CutHere(medium, boundary, boundary.event.kind == IoEvent::Kind::kWrite);
    if (!wrong.empty()) return absl::StrCat("power cut after event ", i, ": ", wrong);
  }
  return "";
}

std::string CrashSweep::CutHere(CrashMedium& medium, const Boundary& boundary, bool is_new) {
  std::vector<Survives> cuts = {[](size_t, size_t) { return true; }};
  if (is_new) {
    // Without the newest write it is an image of an earlier boundary.
    const size_t newest = medium.pending() - 1;
    const uint64_t sectors = medium.sectors(newest);
    const uint64_t torn_at = random_.Below(sectors) + 1;
    const uint64_t mask = random_.Next();
    cuts.emplace_back([=](size_t write, size_t) { return write == newest; });
    cuts.emplace_back([=](size_t write, size_t sector) { return write != newest || sector < torn_at; });
    cuts.emplace_back([=](size_t write, size_t sector) { return write != newest || (mask >> (sector % 61) & 1) != 0; });
    cuts.emplace_back([=](size_t write, size_t sector) { return write == newest && sector >= torn_at; });
  }
  for (uint64_t i = medium.pending() == 0 ? 0 : options_.random_images; i > 0; --i) {
    cuts.emplace_back([survivors = ChooseSurvivors(medium, random_)](size_t write, size_t sector) {
      return survivors[write][sector];
    });
  }
  for (const Survives& survives : cuts) {
    if (std::string wrong = Judge(medium, survives, boundary); !wrong.empty()) return wrong;
  }
  return "";
}

std::string CrashSweep::Judge(CrashMedium& medium, const Survives& survives, const Boundary& boundary) {
  ++numbers_.images;
  medium.Survive(survives);
  std::string wrong;
  // Drawn whether or not the image is new: what other histories made must not change what a seed does.
  const DirtyTracking tracking = random_.OneIn(4) ? DirtyTracking::kConservative : DirtyTracking::kExact;
  const bool again = !second_ && random_.OneIn(options_.second_cut_one_in);
  const uint64_t seed = random_.Next();
  if (distinct_.Add(medium.hash())) {
    ++numbers_.judged;
    if (second_) ++numbers_.second_cuts;
    const Verdict verdict =
        JudgeImage(medium.image(), history_.points, boundary.allowed, *boundary.marked, tracking, history_.gap);
    wrong = verdict.failure;
    if (wrong.empty() && again) wrong = CutAgain(medium.image(), verdict.point, tracking, *boundary.marked, seed);
  }
  medium.Undo();
  return wrong;
}

std::string CrashSweep::CutAgain(const std::vector<std::byte>& image, size_t point, DirtyTracking tracking,
                                 const MarkedCblocks& marked, uint64_t seed) {
  const RecordedHistory again = RecordReopen(image, history_.gap, history_.points[point], tracking, marked, seed);
  CrashSweep sweep(again, {.seed = seed, .random_images = 1, .second_cut_one_in = 1}, distinct_);
  sweep.second_ = true;
  const std::string wrong = sweep.Run();
  numbers_ += {.boundaries = 0,
               .images = sweep.numbers().images,
               .judged = sweep.numbers().judged,
               .second_cuts = sweep.numbers().second_cuts};
  return wrong.empty() ? wrong : absl::StrCat("opened again: ", wrong);
}

}  // namespace dmcached
