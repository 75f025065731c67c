// /metrics: what a scrape says after known work.
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <string>

#include "server/version.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/scrape.h"

namespace dmcached {
namespace {

class MetricsTest : public DaemonTest {
 protected:
  MetricsTest() {
    config_.metrics = "127.0.0.1:0";
    config_.commit_interval_ms = 3600000;
    Start();
  }
  Series Scrape() { return dmcached::Scrape(app().metrics_address()); }
  // Once so many rpcs of each kind are over: one is counted when it is gone, which may be just after its answer.
  Series ScrapeAfter(const std::map<std::string, double>& rpcs) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    Series series = Scrape();
    const auto over = [&](const auto& rpc) {
      return series["grpc_server_handling_seconds_count{" + rpc.first + "}"] >= rpc.second;
    };
    while (!std::all_of(rpcs.begin(), rpcs.end(), over) && std::chrono::steady_clock::now() < give_up) {
      series = Scrape();
    }
    return series;
  }
};

TEST_F(MetricsTest, ACacheIsDescribedAndItsWorkCounted) {
  NewMetadata();
  v1::CreateCacheRequest request = CreateRequest();
  request.set_policy_name("smq");
  Create(request);
  ASSERT_THAT(Insert({{1, 10}, {2, 20}, {3, 30}}), Succeeds());
  ASSERT_THAT(MarkDirty({1}), Succeeds());
  ASSERT_THAT(Commit(), Succeeds());
  ASSERT_THAT(Insert({{4, 40}}), Succeeds());
  EXPECT_THAT(Insert({{4, 50}}), FailsWith(Reason::kCblockInUse));

  const Series series = Scrape();
  const auto value = [&](const std::string& name) { return series.At(name); };
  EXPECT_EQ(value("dmcached_cache_info{cache=\"c1\",policy=\"smq\",metadata_version=\"2\",dirty_tracking=\"exact\"}"),
            1);
  EXPECT_EQ(value("dmcached_cache_state{cache=\"c1\",state=\"open\"}"), 1);
  double states = 0;
  for (const std::string state : {"open", "read_only", "failed", "needs_check", "opening", "closing"}) {
    states += value("dmcached_cache_state{cache=\"c1\",state=\"" + state + "\"}");
  }
  EXPECT_EQ(states, 1);
  EXPECT_EQ(value("dmcached_cache_blocks{cache=\"c1\",state=\"dirty\"}"), 1);
  EXPECT_EQ(value("dmcached_cache_blocks{cache=\"c1\",state=\"clean\"}"), 3);
  EXPECT_EQ(value("dmcached_cache_blocks{cache=\"c1\",state=\"free\"}"), kCacheBlocks - 4);
  EXPECT_EQ(value("dmcached_cache_block_size_bytes{cache=\"c1\"}"), kBlockSectors * 512);
  EXPECT_EQ(value("dmcached_cache_size_bytes{cache=\"c1\"}"), 512.0 * kBlockSectors * kCacheBlocks);
  EXPECT_EQ(value("dmcached_origin_size_bytes{cache=\"c1\"}"), 512.0 * kBlockSectors * kOriginBlocks);
  EXPECT_EQ(value("dmcached_mutations_total{cache=\"c1\",op=\"insert\"}"), 4);
  EXPECT_EQ(value("dmcached_mutations_total{cache=\"c1\",op=\"mark_dirty\"}"), 1);
  EXPECT_EQ(value("dmcached_mutations_rejected_total{cache=\"c1\",reason=\"CBLOCK_IN_USE\"}"), 1);
  EXPECT_EQ(value("dmcached_pending_mutations{cache=\"c1\"}"), 1);  // The last insert.
  EXPECT_GE(value("dmcached_commits_total{cache=\"c1\",trigger=\"ack\"}"), 1);
  EXPECT_GE(value("dmcached_commit_duration_seconds_count{cache=\"c1\"}"), 1);
  EXPECT_GE(value("dmcached_durable_transaction{cache=\"c1\"}"), 1);
  EXPECT_GT(value("dmcached_last_commit_timestamp_seconds{cache=\"c1\"}"), 1.5e9);
  EXPECT_GT(value("dmcached_cache_dirty_since_timestamp_seconds{cache=\"c1\"}"), 1.5e9);
  EXPECT_EQ(value("dmcached_metadata_size_bytes{cache=\"c1\"}"), 4 << 20);
  EXPECT_GT(value("dmcached_metadata_free_bytes{cache=\"c1\"}"), 3 << 20);
  EXPECT_GE(value("dmcached_device_io_seconds_count{cache=\"c1\",device=\"metadata\",op=\"flush\"}"), 2);
  EXPECT_GT(value("dmcached_device_io_bytes_total{cache=\"c1\",device=\"metadata\",op=\"write\"}"), 4096);
  EXPECT_EQ(value("dmcached_device_errors_total{cache=\"c1\",device=\"metadata\",op=\"write\"}"), 0);
}

TEST_F(MetricsTest, StatisticsDiscardsAndTransactionsAreThoseOfTheMetadata) {
  CreateStandard();
  const v1::Cache cache = Get();
  v1::SetStatsRequest stats;
  stats.set_cache(kCache);
  stats.mutable_stats()->set_read_hits(11);
  stats.mutable_stats()->set_read_misses(12);
  stats.mutable_stats()->set_write_hits(13);
  stats.mutable_stats()->set_write_misses(14);
  Context stats_context;
  v1::SetStatsResponse stats_set;
  ASSERT_THAT(metadata().SetStats(&stats_context, stats, &stats_set), Succeeds());
  v1::SetDiscardsRequest discards;
  discards.set_cache(kCache);
  discards.add_ranges()->set_end(3);
  *discards.mutable_options() = Options();
  Context discards_context;
  v1::SetDiscardsResponse discards_set;
  ASSERT_THAT(metadata().SetDiscards(&discards_context, discards, &discards_set), Succeeds());

  const Series series = Scrape();
  EXPECT_EQ(series.At("dmcached_hits_total{cache=\"c1\",op=\"read\"}"), 11);
  EXPECT_EQ(series.At("dmcached_misses_total{cache=\"c1\",op=\"read\"}"), 12);
  EXPECT_EQ(series.At("dmcached_hits_total{cache=\"c1\",op=\"write\"}"), 13);
  EXPECT_EQ(series.At("dmcached_misses_total{cache=\"c1\",op=\"write\"}"), 14);
  EXPECT_EQ(series.Of("dmcached_discarded_bytes"),
            3.0 * 512 * static_cast<double>(cache.superblock().discard_block_size_sectors()));
  EXPECT_EQ(series.Of("dmcached_transaction"), static_cast<double>(cache.transaction()));
  EXPECT_EQ(series.Of("dmcached_unclean_opens_total"), 0);
  EXPECT_GT(series.Of("dmcached_cache_opened_timestamp_seconds"), 1.5e9);
  for (const char* structure : {"superblock", "index", "array", "bitmap", "space_map_index"}) {
    EXPECT_EQ(series.At(std::string("dmcached_checksum_errors_total{cache=\"c1\",structure=\"") + structure + "\"}"),
              0);
  }
}

TEST_F(MetricsTest, BlocksInMemoryWrittenAndHeldAreCounted) {
  CreateStandard();
  const double size = Scrape().Of("dmcached_commit_written_blocks_sum");
  ASSERT_THAT(Insert({{1, 10}}, /*dirty=*/true), Succeeds());
  const Series first = Scrape();
  EXPECT_GT(first.Of("dmcached_commit_written_blocks_sum"), size);
  EXPECT_EQ(first.Of("dmcached_commit_written_blocks_count"), first.Of("dmcached_commit_duration_seconds_count"));
  EXPECT_GE(first.Of("dmcached_block_cache_bytes"), 4096);
  EXPECT_EQ(static_cast<int>(first.Of("dmcached_block_cache_bytes")) % 4096, 0);
  ASSERT_THAT(ClearDirty({{1, 10}}), Succeeds());
  const Series second = Scrape();
  // The dirty bit's block was resident; its old place is held until the change is durable.
  EXPECT_GT(second.Of("dmcached_block_cache_hits_total"), first.Of("dmcached_block_cache_hits_total"));
  EXPECT_EQ(second.Of("dmcached_block_cache_misses_total"), first.Of("dmcached_block_cache_misses_total"));
  EXPECT_GE(second.Of("dmcached_metadata_held_bytes"), 4096);
  Restart();
  OpenStandard();
  EXPECT_EQ(Scrape().Of("dmcached_block_cache_misses_total"), 0);
  ASSERT_THAT(Insert({{2, 20}}, /*dirty=*/true), Succeeds());
  EXPECT_GT(Scrape().Of("dmcached_block_cache_misses_total"), 0);
}

TEST_F(MetricsTest, SnapshotsAreCountedWhileTheyAreHeldAndWhenTheyAreTaken) {
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  EXPECT_EQ(Scrape().Of("dmcached_snapshots"), 0);
  List();
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Scrape().Of("dmcached_snapshots") != 0) ASSERT_LT(std::chrono::steady_clock::now(), give_up);
  EXPECT_EQ(Scrape().Of("dmcached_snapshots_revoked_total"), 0);
}

TEST_F(MetricsTest, AnUncleanOpenIsCountedAlsoReadOnly) {
  v1::CreateCacheRequest request = CreateRequest();
  NewMetadata();
  request.set_dirty_tracking(v1::DIRTY_TRACKING_CONSERVATIVE);
  Create(request);
  ASSERT_THAT(Insert({{1, 10}}, /*dirty=*/true), Succeeds());
  // As a crash would leave it.
  std::filesystem::copy_file(folder_.File("metadata"), folder_.File("crashed"));
  v1::OpenCacheRequest open;
  open.set_name("crashed");
  open.set_metadata_path(folder_.File("crashed"));
  open.set_read_only(true);
  EXPECT_TRUE(Open(open).must_assume_all_dirty());
  EXPECT_EQ(Scrape().At("dmcached_unclean_opens_total{cache=\"crashed\"}"), 1);
}

TEST_F(MetricsTest, TheSeriesOfAClosedCacheDisappear) {
  CreateStandard();
  ASSERT_THAT(Close(), Succeeds());
  for (const auto& [name, value] : Scrape()) EXPECT_EQ(name.find("cache=\"c1\""), std::string::npos) << name;
}

TEST_F(MetricsTest, RpcsAreCountedAsGoGrpcPrometheusDoes) {
  CreateStandard();
  for (int i = 0; i < 3; ++i) Get();
  Context context;
  v1::GetCacheRequest request;
  request.set_name("nobody");
  v1::GetCacheResponse response;
  EXPECT_THAT(caches().GetCache(&context, request, &response), FailsWith(Reason::kCacheNotOpen));
  List();
  const std::string get = "grpc_type=\"unary\",grpc_service=\"dmcached.v1.CacheService\",grpc_method=\"GetCache\"";
  const std::string list =
      "grpc_type=\"server_stream\",grpc_service=\"dmcached.v1.MetadataService\",grpc_method=\"ListMappings\"";
  const Series series = ScrapeAfter({{list, 1}, {get, 4}});
  EXPECT_EQ(series.at("grpc_server_started_total{" + get + "}"), 4);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + get + ",grpc_code=\"OK\"}"), 3);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + get + ",grpc_code=\"NotFound\"}"), 1);
  EXPECT_EQ(series.at("grpc_server_msg_received_total{" + get + "}"), 4);
  EXPECT_EQ(series.at("grpc_server_msg_sent_total{" + get + "}"), 3);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + list + ",grpc_code=\"OK\"}"), 1);
}

// These are not counted by the interceptor.
TEST_F(MetricsTest, LookupsAndMutateStreamsAreCountedAlike) {
  CreateStandard();
  Lookup({1, 2});
  Context failing;
  v1::LookupMappingsRequest request;
  request.set_cache("nobody");
  v1::LookupMappingsResponse response;
  EXPECT_THAT(metadata().LookupMappings(&failing, request, &response), FailsWith(Reason::kCacheNotOpen));
  Context context;
  const auto stream = metadata().Mutate(&context);
  v1::MutateRequest batch;
  batch.set_cache(kCache);
  EXPECT_TRUE(stream->Write(batch));
  batch.set_batch(1);
  batch.mutable_set_stats()->mutable_stats()->set_read_hits(1);
  EXPECT_TRUE(stream->Write(batch));
  stream->WritesDone();
  double answers = 0;
  for (v1::MutateResponse answer; stream->Read(&answer);) ++answers;
  EXPECT_THAT(stream->Finish(), Succeeds());

  const std::string lookup =
      "grpc_type=\"unary\",grpc_service=\"dmcached.v1.MetadataService\",grpc_method=\"LookupMappings\"";
  const std::string mutate =
      "grpc_type=\"bidi_stream\",grpc_service=\"dmcached.v1.MetadataService\",grpc_method=\"Mutate\"";
  const Series series = ScrapeAfter({{mutate, 1}, {lookup, 2}});
  EXPECT_EQ(series.at("grpc_server_started_total{" + lookup + "}"), 2);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + lookup + ",grpc_code=\"OK\"}"), 1);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + lookup + ",grpc_code=\"NotFound\"}"), 1);
  EXPECT_EQ(series.at("grpc_server_msg_received_total{" + lookup + "}"), 2);
  EXPECT_EQ(series.at("grpc_server_msg_sent_total{" + lookup + "}"), 1);
  EXPECT_EQ(series.at("grpc_server_started_total{" + mutate + "}"), 1);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + mutate + ",grpc_code=\"OK\"}"), 1);
  EXPECT_EQ(series.at("grpc_server_msg_received_total{" + mutate + "}"), 2);
  EXPECT_EQ(series.at("grpc_server_msg_sent_total{" + mutate + "}"), answers);
}

TEST_F(MetricsTest, TheProcessDescribesItself) {
  const Series series = Scrape();
  EXPECT_EQ(
      series.at(std::string("dmcached_build_info{version=\"") + Version() + "\",revision=\"" + Revision() + "\"}"), 1);
  EXPECT_EQ(series.count("dmcached_executor_queue_depth"), 1u);
  EXPECT_EQ(series.at("dmcached_executor_rejected_total"), 0);
  EXPECT_GT(series.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(series.at("process_open_fds"), 3);
}

}  // namespace
}  // namespace dmcached
