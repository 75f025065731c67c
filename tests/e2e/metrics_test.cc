// /metrics: what a scrape says after known work.
#include <map>
#include <sstream>

#include "server/version.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/http_get.h"

namespace dmcached {
namespace {

class MetricsTest : public DaemonTest {
 protected:
  MetricsTest() {
    config_.metrics = "127.0.0.1:0";
    config_.commit_interval_ms = 3600000;
    Start();
  }
  // Series, as they are written, to values.
  std::map<std::string, double> Scrape() {
    const HttpAnswer answer = HttpGet(app().metrics_address(), "/metrics");
    EXPECT_EQ(answer.status, 200);
    std::map<std::string, double> series;
    std::istringstream lines(answer.body);
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] == '#') continue;
      const size_t space = line.rfind(' ');
      EXPECT_TRUE(series.emplace(line.substr(0, space), std::stod(line.substr(space + 1))).second) << line;
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

  const std::map<std::string, double> series = Scrape();
  const auto value = [&](const std::string& name) {
    const auto found = series.find(name);
    EXPECT_NE(found, series.end()) << name;
    return found == series.end() ? -1 : found->second;
  };
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
  // An rpc is counted when it is gone, which may be just after its answer.
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  std::map<std::string, double> series = Scrape();
  while (series["grpc_server_handling_seconds_count{" + list + "}"] < 1 ||
         series["grpc_server_handling_seconds_count{" + get + "}"] < 4) {
    ASSERT_LT(std::chrono::steady_clock::now(), give_up);
    series = Scrape();
  }
  EXPECT_EQ(series.at("grpc_server_started_total{" + get + "}"), 4);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + get + ",grpc_code=\"OK\"}"), 3);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + get + ",grpc_code=\"NotFound\"}"), 1);
  EXPECT_EQ(series.at("grpc_server_msg_received_total{" + get + "}"), 4);
  EXPECT_EQ(series.at("grpc_server_msg_sent_total{" + get + "}"), 3);
  EXPECT_EQ(series.at("grpc_server_handled_total{" + list + ",grpc_code=\"OK\"}"), 1);
}

TEST_F(MetricsTest, TheProcessDescribesItself) {
  const std::map<std::string, double> series = Scrape();
  EXPECT_EQ(
      series.at(std::string("dmcached_build_info{version=\"") + Version() + "\",revision=\"" + Revision() + "\"}"), 1);
  EXPECT_EQ(series.count("dmcached_executor_queue_depth"), 1u);
  EXPECT_EQ(series.at("dmcached_executor_rejected_total"), 0);
  EXPECT_GT(series.at("process_resident_memory_bytes"), 1 << 20);
  EXPECT_GT(series.at("process_open_fds"), 3);
}

}  // namespace
}  // namespace dmcached
