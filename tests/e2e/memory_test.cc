// Metadata blocks in memory stay within the budget, whatever the callers do.
#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/e2e/daemon.h"
#include "tests/e2e/scrape.h"

namespace dmcached {
namespace {

constexpr uint64_t kBudget = 1 << 20;
constexpr uint32_t kCallers = 64;
constexpr uint32_t kEntriesPerBlock = 509;  // Of a mapping block.
constexpr uint32_t kBlocks = 2048;          // 8 MiB of mapping blocks.
constexpr uint32_t kItems = 16;             // Of a request, each in another block.

class MemoryTest : public DaemonTest {
 protected:
  MemoryTest() {
    config_.block_cache_bytes = kBudget;
    config_.metrics = "127.0.0.1:0";
    Start();
    NewMetadata("metadata", 64 << 20);
    v1::CreateCacheRequest request = CreateRequest();
    request.set_cache_blocks(kBlocks * kEntriesPerBlock);
    request.set_origin_size_sectors(uint64_t{kBlocks} * kEntriesPerBlock * kBlockSectors);
    Create(request);
    incarnation_ = Get().incarnation();
  }
  // One caller: inserts, looks up and removes, all over the cache.
  void Work(uint32_t caller) {
    for (uint32_t round = 0; round < 8; ++round) {
      v1::InsertMappingsRequest insert;
      v1::RemoveMappingsRequest remove;
      v1::LookupMappingsRequest lookup;
      insert.set_cache(kCache);
      remove.set_cache(kCache);
      lookup.set_cache(kCache);
      for (uint32_t i = 0; i < kItems; ++i) {
        // No two callers and no two items share a cblock; the blocks differ from round to round.
        const uint32_t block = (i * 128 + round * 16 + caller * 31) % kBlocks;
        const uint32_t cblock = block * kEntriesPerBlock + caller;
        insert.add_cblocks(cblock);
        insert.add_oblocks(cblock);
        insert.add_dirty(i % 2 == 0);
        remove.add_cblocks(cblock);
        remove.add_oblocks(cblock);
        lookup.add_cblocks(cblock);
      }
      remove.set_discard_dirty(true);
      for (v1::MutationOptions* options : {insert.mutable_options(), remove.mutable_options()}) {
        options->set_request_id(std::to_string(caller) + "-" + std::to_string(round) +
                                (options == insert.mutable_options() ? "i" : "r"));
        options->set_incarnation(incarnation_);
      }
      Context insert_context, lookup_context, remove_context;
      v1::InsertMappingsResponse inserted;
      v1::LookupMappingsResponse found;
      v1::RemoveMappingsResponse removed;
      ASSERT_THAT(metadata().InsertMappings(&insert_context, insert, &inserted), Succeeds());
      ASSERT_THAT(metadata().LookupMappings(&lookup_context, lookup, &found), Succeeds());
      if (round % 2 == 0) continue;
      ASSERT_THAT(metadata().RemoveMappings(&remove_context, remove, &removed), Succeeds());
    }
  }

  uint64_t incarnation_ = 0;
};

TEST_F(MemoryTest, SixtyFourCallersKeepTheBlockCacheWithinItsBudget) {
  std::atomic<uint32_t> working{kCallers};
  std::vector<std::jthread> callers;
  for (uint32_t caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      Work(caller);
      --working;
    });
  }
  double most = 0;
  double misses = 0;
  do {
    const Series series = Scrape(app().metrics_address());
    most = std::max(most, series.Of("dmcached_block_cache_bytes"));
    misses = series.Of("dmcached_block_cache_misses_total");
  } while (working > 0);
  // What one request pins may be over the budget: its mapping and dirty blocks, and those of the discards it clears.
  constexpr double kPinned = 3.0 * kItems * 4096;
  EXPECT_LE(most, kBudget + kPinned);
  EXPECT_GT(misses * 4096, 4.0 * kBudget) << "far more was read than fits";
  callers.clear();
  EXPECT_EQ(Get().mapped_blocks(), kCallers * 4 * kItems);
  EXPECT_LE(Scrape(app().metrics_address()).Of("dmcached_block_cache_bytes"), kBudget);
}

}  // namespace
}  // namespace dmcached
