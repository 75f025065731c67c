// Random dirty marks at a million cache blocks, committed synchronously every so many.
#include <algorithm>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <semaphore>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/format/layout.h"
#include "tests/bench/cases.h"
#include "tests/bench/committer.h"
#include "tests/bench/mark_store.h"
#include "tests/bench/served_store.h"

namespace dmcached::bench {
namespace {

constexpr uint32_t kCblocks = 1000000;
constexpr uint64_t kWarmCommits = 3000;
constexpr uint64_t kBareBytes = 128 << 20;

// Cblocks in random order, none twice until all had their turn: each mark changes something.
class Shuffled {
 public:
  explicit Shuffled(MarkStore& store) : store_(store), order_(kCblocks) {
    std::iota(order_.begin(), order_.end(), 0);
    std::shuffle(order_.begin(), order_.end(), std::mt19937_64(1));
  }
  // The next `count`; clears all marks first when there are no more.
  std::span<const uint32_t> Take(size_t count) {
    if (used_ + count > order_.size()) {
      store_.ClearAll();
      used_ = 0;
    }
    used_ += count;
    return std::span(order_).subspan(used_ - count, count);
  }

 private:
  MarkStore& store_;
  std::vector<uint32_t> order_;
  size_t used_ = 0;
};

struct Contender {
  std::unique_ptr<MarkStore> store;
  std::unique_ptr<Shuffled> order;

  explicit Contender(std::unique_ptr<MarkStore> from)
      : store(std::move(from)), order(std::make_unique<Shuffled>(*store)) {}
  // Marks a second, over `commits` commits of `marks`.
  double Rate(uint64_t commits, size_t marks) const {
    double took = 0;
    for (uint64_t i = 0; i < commits; ++i) {
      const std::span<const uint32_t> next = order->Take(marks);
      const double begin = Now();
      store->MarkDurably(next);
      took += Now() - begin;
    }
    return static_cast<double>(commits * marks) / took;
  }
};

struct Goal {
  size_t marks;
  uint64_t commits;  // A round.
  std::optional<double> lmdb;
  std::optional<double> rocksdb;
};

std::optional<Target> Above(std::optional<double> bound) {
  return bound.has_value() ? std::optional(AtLeast(*bound)) : std::nullopt;
}

// What our commits of `marks` marks write, in bytes a commit: whole blocks.
uint64_t BytesOfACommit(const Contender& ours, uint64_t commits, size_t marks) {
  auto& served = static_cast<ServedStore&>(*ours.store);
  const uint64_t before = served.written_bytes();
  ours.Rate(commits, marks);
  return (served.written_bytes() - before) / commits / kMetadataBlockBytes * kMetadataBlockBytes;
}

// Marks a second, if a commit of `marks` were nothing but `write`.
double BareRate(uint64_t commits, size_t marks, const std::function<double()>& write) {
  double took = 0;
  for (uint64_t i = 0; i < commits; ++i) took += write();
  return static_cast<double>(commits * marks) / took;
}

// What the disk allows for commits of `bytes`: bare writes and flushes one after the other; the superblock under the
// flush of the next one's blocks; and what makes that needless: everything that waits, in one commit.
void BareRows(Run& run, const std::string& figure, ContiguousWriter& bare, uint64_t bytes, uint64_t commits,
              size_t marks) {
  const Rounds rounds(
      run.Rounds(7),
      {[&] { return BareRate(commits, marks, [&] { return bare.Write(bytes); }); },
       [&] { return BareRate(commits, marks, [&] { return bare.WriteUnderOneFlush(bytes); }); },
       [&] { return BareRate(commits / 2, 2 * marks, [&] { return bare.Write(2 * bytes - kMetadataBlockBytes); }); }});
  const char* yardstick = "bare writes and flushes";
  run.Compare(absl::StrCat("  bare, superblock under the next one's flush: ", figure), rounds, 1, 0, "marks/s",
              yardstick);
  run.Compare(absl::StrCat("  bare, two commits in one: ", figure), rounds, 2, 0, "marks/s", yardstick);
}

void AddBytes(Run& run, const Contender& ours, uint32_t version) {
  constexpr size_t kMarks = 1000;
  const double bytes = static_cast<double>(BytesOfACommit(ours, 50, kMarks)) / kMarks;
  run.Add(absl::StrCat("bytes written per mark, format ", version, ", 1000 a commit"), bytes, "bytes",
          version == 2 ? std::optional(AtMost(150)) : std::nullopt);
}

void Versus(Run& run, uint32_t version, const std::vector<Goal>& goals) {
  const uint64_t warm = version == 1 ? run.Work(kWarmCommits, kWarmCommits) : 0;
  Contender ours(std::make_unique<ServedStore>(NewServedFile(run, version, kCblocks), version, kCblocks));
  Contender lmdb(NewLmdbStore(run.NewPath("lmdb"), kCblocks));
  Contender rocksdb(NewRocksDbStore(run.NewPath("rocksdb"), kCblocks));
  ContiguousWriter bare(run, kBareBytes);
  if (warm > 0) ours.Rate(warm, 1000);
  for (const Goal& goal : goals) {
    const uint64_t commits = run.Work(goal.commits, std::max<uint64_t>(goal.commits / 4, 3));
    const uint64_t bytes = BytesOfACommit(ours, 3, goal.marks);
    const Rounds rounds(run.Rounds(7),
                        {[&] { return ours.Rate(commits, goal.marks); }, [&] { return lmdb.Rate(commits, goal.marks); },
                         [&] { return rocksdb.Rate(commits, goal.marks); },
                         [&] { return BareRate(commits, goal.marks, [&] { return bare.Write(bytes); }); }});
    const std::string figure = absl::StrCat("format ", version, ", a commit every ", goal.marks);
    run.Compare(figure, rounds, 0, 1, "marks/s", "LMDB", Above(goal.lmdb));
    run.Compare(figure, rounds, 0, 2, "marks/s", "RocksDB", Above(goal.rocksdb));
    run.Compare(absl::StrCat("  the disk's share: ", figure), rounds, 0, 3, "marks/s", "bare writes and flushes");
    run.Compare(absl::StrCat("  at most, on this disk: ", figure), rounds, 3, 1, "marks/s", "LMDB");
    BareRows(run, figure, bare, bytes, commits, goal.marks);
  }
  AddBytes(run, ours, version);
}

// Marks a second of a caller who waits for its batches to be durable, but sends some more meanwhile.
double RateAhead(ServedStore& store, Shuffled& order, uint64_t batches, size_t marks) {
  constexpr ptrdiff_t kAhead = 16;
  const std::span<const uint32_t> all = order.Take(batches * marks);
  std::counting_semaphore<kAhead> places(kAhead);
  const double begin = Now();
  for (uint64_t i = 0; i < batches; ++i) {
    places.acquire();
    store.ApplyDurably(MarkDirty{all.subspan(i * marks, marks)}, [&] { places.release(); });
  }
  for (ptrdiff_t i = 0; i < kAhead; ++i) places.acquire();
  return static_cast<double>(batches * marks) / (Now() - begin);
}

void SentAhead(Run& run) {
  Contender ours(std::make_unique<ServedStore>(NewServedFile(run, 2, kCblocks), 2, kCblocks));
  Contender lmdb(NewLmdbStore(run.NewPath("lmdb"), kCblocks));
  Contender rocksdb(NewRocksDbStore(run.NewPath("rocksdb"), kCblocks));
  auto& served = static_cast<ServedStore&>(*ours.store);
  for (const size_t marks : {100, 1000}) {
    const uint64_t batches = run.Work(600, 200);
    const Rounds rounds(run.Rounds(7), {[&] { return RateAhead(served, *ours.order, batches, marks); },
                                        [&] { return lmdb.Rate(batches / 4, marks); },
                                        [&] { return rocksdb.Rate(batches / 4, marks); }});
    const std::string figure =
        absl::StrCat("format 2, 16 batches of ", marks, " on their way, each answered when durable");
    run.Compare(figure, rounds, 0, 1, "marks/s", absl::StrCat("LMDB, a commit every ", marks));
    run.Compare(figure, rounds, 0, 2, "marks/s", absl::StrCat("RocksDB, a commit every ", marks));
  }
}

// Marks a second of two callers that each wait for their own mark.
double RateOfTwo(ServedStore& store, Shuffled& order, uint64_t commits) {
  const std::span<const uint32_t> mine = order.Take(commits);
  const std::span<const uint32_t> others = order.Take(commits);
  const auto call = [&](std::span<const uint32_t> cblocks) {
    for (size_t i = 0; i < cblocks.size(); ++i) store.MarkDurably(cblocks.subspan(i, 1));
  };
  const double begin = Now();
  std::thread other(call, others);
  call(mine);
  other.join();
  return static_cast<double>(2 * commits) / (Now() - begin);
}

void TwoCallers(Run& run) {
  Contender ours(std::make_unique<ServedStore>(NewServedFile(run, 2, kCblocks), 2, kCblocks));
  Contender lmdb(NewLmdbStore(run.NewPath("lmdb"), kCblocks));
  auto& served = static_cast<ServedStore&>(*ours.store);
  const uint64_t commits = run.Work(400, 100);
  const Rounds rounds(run.Rounds(9),
                      {[&] { return RateOfTwo(served, *ours.order, commits); }, [&] { return lmdb.Rate(commits, 1); }});
  run.Compare("format 2, a commit every 1, two callers", rounds, 0, 1, "marks/s", "LMDB", AtLeast(1.2));
}

}  // namespace

void DurableMarks(Run& run) {
  Versus(run, 2,
         {{.marks = 1, .commits = 400, .lmdb = 1.0, .rocksdb = {}},
          {.marks = 10, .commits = 400, .lmdb = {}, .rocksdb = {}},
          {.marks = 100, .commits = 200, .lmdb = 5, .rocksdb = {}},
          {.marks = 1000, .commits = 100, .lmdb = 25, .rocksdb = 25},
          {.marks = 10000, .commits = 20, .lmdb = 60, .rocksdb = {}}});
  TwoCallers(run);
  SentAhead(run);
  Versus(run, 1, {{.marks = 1000, .commits = 100, .lmdb = 4.5, .rocksdb = {}}});
}

}  // namespace dmcached::bench
