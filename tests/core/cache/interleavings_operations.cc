// What may be asked for beside a commit, and when it is answered: one row each.
#include <chrono>

#include "tests/core/cache/interleavings_fixture.h"

namespace dmcached {

std::vector<EngineInterleavingsTest::Operation> EngineInterleavingsTest::Mutations() {
  using Test = EngineInterleavingsTest;
  using enum When;
  return {
      {"insert clean", kAtOnce, [](Test& t) { return t.Insert({50}, {70}); }, nullptr},
      {"insert dirty", kWithNext, [](Test& t) { return t.Insert({50}, {70}, true); }, nullptr},
      {"insert what is reserved", kAtOnce,
       [](Test& t) {
         InsertMappings insert = t.Insert(t.reserved_, {70, 71});
         insert.reservation = t.reservation_;
         return insert;
       },
       nullptr},
      {"insert what is removed", kAtOnce, [](Test& t) { return t.Insert({9}, {70}); }, nullptr, Reason::kCblockInUse},
      {"insert dirty what is removed", kWithNext, [](Test& t) { return t.Insert({9}, {70}, true); }, nullptr,
       Reason::kCblockInUse},
      {"remove", kWithNext, [](Test& t) { return t.Remove({5}, {50005}); }, nullptr},
      {"remove a range", kWithNext,
       [](Test&) {
         return RemoveMappings{.cblocks = {}, .oblocks = {}, .oblock_range = OblockRange{Oblock(50003), Oblock(50006)}};
       },
       nullptr},
      {"remove again", kWithNext, [](Test& t) { return t.Remove({9}, {50009}); }, nullptr, Reason::kNotMapped},
      {.name = "mark", .when = kWithNext, .mutation = [](Test& t) { return t.Mark({6}); }, .conservative = kAtOnce},
      {.name = "mark what is dirty",
       .when = kWithNext,
       .mutation =
           [](Test& t) {
             return t.Mark({7, 8});
           },
       .conservative = kAtOnce},
      {"clear", kAtOnce,
       [](Test& t) {
         return t.Clear({7, 8}, {50007, 50008});
       },
       nullptr},
      {"set discards", kAtOnce, [](Test& t) { return t.Discard(3, 5); }, nullptr},
      {"clear discards", kWithNext, [](Test& t) { return t.Undiscard(1, 2); }, nullptr},
      {"begin hints", kWithNext,
       [](Test&) {
         return BeginHints{"mq", {2, 0, 0}, 4};
       },
       nullptr},
      {"save hints", kAtOnce,
       [](Test& t) {
         return SaveHints{t.Keep<uint32_t>({1, 19}), t.Keep<uint32_t>({11, 12})};
       },
       nullptr},
      {"set stats", kAtOnce, [](Test&) { return SetStats{.stats = {.read_hits = 5}}; }, nullptr},
      {"grow", kWithNext, [](Test&) { return Resize{.cache_blocks = 3000}; }, nullptr, std::nullopt,
       /*lifecycle=*/true},
      {"shrink", kWithNext, [](Test&) { return Resize{.cache_blocks = 100}; }, nullptr, std::nullopt,
       /*lifecycle=*/true},
      {"shrink over dirty blocks", kWithNext, [](Test&) { return Resize{.cache_blocks = 8}; }, nullptr,
       Reason::kDirtyBlocks, /*lifecycle=*/true},
      {"resize the origin", kWithNext, [](Test&) { return Resize{.origin_size = Sectors(128 * 90000)}; }, nullptr,
       std::nullopt, /*lifecycle=*/true},
  };
}

std::vector<EngineInterleavingsTest::Operation> EngineInterleavingsTest::Calls() {
  using Test = EngineInterleavingsTest;
  using enum When;
  const auto lookup = [](bool durable) {
    return [durable](Test& t) {
      Outcome<absl::StatusOr<LookupResult>> found;
      t.engine().Lookup("c", {.cblocks = t.Keep<uint32_t>({5, 9, 50}), .durable = durable}, found.callback());
      return AnswerOf(found);
    };
  };
  const auto commit = [](bool clean) {
    return [clean](Test& t) {
      MutationOutcome committed;
      t.engine().Commit("c", clean, committed.callback());
      return AnswerOf(committed);
    };
  };
  const auto when_durable = [](int64_t behind_n, bool start) {
    return [behind_n, start](Test& t) {
      Outcome<absl::StatusOr<uint64_t>> durable;
      const CacheInfo info = t.Info();
      const auto transaction = static_cast<uint64_t>(static_cast<int64_t>(info.transaction) - 1 + behind_n);
      t.engine().WhenDurable("c", info.incarnation, transaction, start, durable.callback());
      return AnswerOf(durable);
    };
  };
  // An answer there is already.
  const auto now = [](const absl::Status& status) { return Answer{[] { return true; }, [status] { return status; }}; };
  const absl::Status damage = MakeError(Reason::kMetadataCorrupt, "damage, says the test");
  const auto close = [](Test& t) {
    Outcome<absl::Status> closed;
    t.engine().Close("c", {}, closed.callback());
    return AnswerOf(closed);
  };
  const auto shutdown = [](Test& t) {
    Outcome<absl::Status> ended;
    t.engine().Shutdown(ended.callback());
    return AnswerOf(ended);
  };
  return {
      {"look up", kAtOnce, nullptr, lookup(false)},
      {"look up what is durable", kWithNext, nullptr, lookup(true)},
      {"reserve", kAtOnce, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<Reservation>> reserved;
         t.engine().Reserve("c", 3, Duration{0}, nullptr, reserved.callback());
         return AnswerOf(reserved);
       }},
      {"release", kAtOnce, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<uint32_t>> released;
         t.engine().Release("c", t.reservation_, released.callback());
         return AnswerOf(released);
       }},
      {"snapshot", kWithNext, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<std::shared_ptr<CacheSnapshot>>> taken;
         t.engine().TakeSnapshot("c", taken.callback());
         return AnswerOf(taken);
       }},
      {"read a snapshot of S", kAtOnce, nullptr, [now](Test& t) { return now(t.ReadSnapshot()); }},
      {"repeat a request of N", kWithN, nullptr,
       [](Test& t) { return AnswerOf(t.Send(t.Remove({9}, {50009}), {.request_id = "n-0", .durable = true})); }},
      {"get the statistics", kAtOnce, nullptr, [now](Test& t) { return now(t.engine().GetStats("c").status()); }},
      {"probe", kAtOnce, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<ProbeResult>> probed;
         t.engine().Probe("/meta", probed.callback());
         return AnswerOf(probed);
       }},
      {.name = "end a check that found damage",
       .when = kWithNext,
       .call =
           [damage, patient = when_durable(1, false)](Test& t) {
             t.FinishCheck(damage, /*clear=*/false);
             return patient(t);
           },
       .lifecycle = true,
       .needs_check = true},
      {.name = "clear the needs_check flag",
       .when = kWithNext,
       .call =
           [damage](Test& t) {
             t.FinishCheck(damage, /*clear=*/false);
             return AnswerOf(t.FinishCheck(absl::OkStatus(), /*clear=*/true));
           },
       .lifecycle = true},
      {"commit", kWithNext, nullptr, commit(false)},
      {"commit clean", kWithNext, nullptr, commit(true), std::nullopt, /*lifecycle=*/false, /*clean=*/true},
      {"close", kWithNext, nullptr, close, std::nullopt, /*lifecycle=*/true, /*clean=*/true, Reason::kIoError},
      {"delete", kWithNext, nullptr,
       [](Test& t) {
         Outcome<absl::Status> deleted;
         t.engine().Delete("c", {.discard_dirty = true}, deleted.callback());
         return AnswerOf(deleted);
       },
       std::nullopt, /*lifecycle=*/true, /*clean=*/true, Reason::kIoError},
      {"shut down", kWithNext, nullptr, shutdown, std::nullopt, /*lifecycle=*/true, /*clean=*/true, Reason::kIoError},
      {"recover", kAtOnce, nullptr,
       [](Test& t) {
         Outcome<absl::StatusOr<OpenResult>> recovered;
         t.engine().Open({.name = "c", .recover = true}, recovered.callback());
         return AnswerOf(recovered);
       },
       Reason::kCacheExists},
      {"wait for S", kAtOnce, nullptr, when_durable(-1, true)},
      {"wait for N", kWithN, nullptr, when_durable(0, true)},
      {"wait for N+1", kWithNext, nullptr, when_durable(1, true)},
      {"tick", kWithNext, nullptr,
       [patient = when_durable(1, false)](Test& t) {
         t.clock_.Advance(std::chrono::seconds(2));
         t.engine().Tick();
         return patient(t);
       }},
  };
}

}  // namespace dmcached
