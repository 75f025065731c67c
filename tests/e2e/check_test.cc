// MaintenanceService.Check over a socket.
#include <atomic>
#include <fstream>
#include <thread>

#include "core/format/layout.h"
#include "core/format/seal.h"
#include "dmcached/v1/maintenance_service.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/http_get.h"
#include "tests/e2e/switched_device.h"
#include "tests/support/matchers.h"

namespace dmcached {
namespace {

struct Checked {
  grpc::Status status;
  std::vector<v1::CheckFinding> findings;
  v1::CheckSummary summary;
  int progress_messages = 0;
};

class CheckE2eTest : public DaemonTest {
 protected:
  CheckE2eTest() {
    config_.metrics = "127.0.0.1:0";
    opener_ = OpenSwitched(faults_);
    Start();
    stub_ = v1::MaintenanceService::NewStub(
        grpc::CreateChannel(app().addresses().front(), grpc::InsecureChannelCredentials()));
    CreateStandard();
    Pairs pairs;
    for (uint32_t i = 0; i < 1500; ++i) pairs.emplace_back(i, i);
    EXPECT_THAT(Insert(pairs), Succeeds());
  }

  Checked Run(const v1::CheckRequest& request) {
    Context context;
    const auto reader = stub_->Check(&context, request);
    Checked checked;
    uint64_t done = 0;
    for (v1::CheckResponse response; reader->Read(&response);) {
      checked.progress_messages += response.has_progress() ? 1 : 0;
      if (response.has_progress()) {
        EXPECT_GE(response.progress().done_blocks(), done);
        EXPECT_LE(response.progress().done_blocks(), response.progress().total_blocks());
        done = response.progress().done_blocks();
      }
      checked.findings.insert(checked.findings.end(), response.findings().begin(), response.findings().end());
      if (response.has_summary()) checked.summary = response.summary();
    }
    checked.status = reader->Finish();
    return checked;
  }
  Checked CheckCache(bool clear = false) {
    v1::CheckRequest request;
    request.set_cache(kCache);
    request.set_clear_needs_check(clear);
    return Run(request);
  }
  Checked CheckFile(bool clear = false) {
    v1::CheckRequest request;
    request.set_metadata_path(folder_.File("metadata"));
    request.set_clear_needs_check(clear);
    return Run(request);
  }
  void PatchFile(uint64_t block, const std::function<void(std::span<std::byte>)>& change) {
    std::vector<std::byte> bytes(kMetadataBlockBytes);
    std::fstream file(folder_.File("metadata"), std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(block * kMetadataBlockBytes));
    file.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    change(bytes);
    file.seekp(static_cast<std::streamoff>(block * kMetadataBlockBytes));
    file.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  }
  DiskSuperblock SuperblockOnFile() {
    const std::vector<std::byte> bytes = FileBytes(folder_.File("metadata"));
    return DiskView<DiskSuperblock>(std::span(bytes));
  }

  const std::shared_ptr<DeviceSwitch> faults_ = std::make_shared<DeviceSwitch>();
  std::unique_ptr<v1::MaintenanceService::Stub> stub_;
};

TEST_F(CheckE2eTest, SoundCacheHasASummaryAndNoFindings) {
  const Checked checked = CheckCache();
  ASSERT_THAT(checked.status, Succeeds());
  EXPECT_TRUE(checked.findings.empty());
  EXPECT_GT(checked.progress_messages, 0);
  EXPECT_EQ(checked.summary.mapped_count(), 1500u);
  EXPECT_EQ(checked.summary.cache_blocks(), kCacheBlocks);
  EXPECT_EQ(checked.summary.read_block_count(), checked.summary.used_block_count());
  EXPECT_EQ(checked.summary.incarnation(), Get().incarnation());
  EXPECT_TRUE(checked.summary.clean_shutdown());
  const std::string metrics = HttpGet(app().metrics_address(), "/metrics").body;
  EXPECT_THAT(metrics, testing::HasSubstr("dmcached_operations_total{cache=\"c1\",kind=\"check\",result=\"ok\"} 1"));
  EXPECT_THAT(metrics, testing::HasSubstr("dmcached_last_check_errors{cache=\"c1\"} 0"));
}

TEST_F(CheckE2eTest, ChecksFindNothingWhileTheCacheWorks) {
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (uint32_t i = 0; !stop; i = (i + 1) % 1500) {
      EXPECT_THAT(MarkDirty({i}), Succeeds());  // Durable: each is in a commit.
      EXPECT_THAT(ClearDirty({{i, i}}), Succeeds());
    }
  });
  for (int i = 0; i < 20; ++i) {
    const Checked checked = CheckCache();
    EXPECT_THAT(checked.status, Succeeds());
    EXPECT_TRUE(checked.findings.empty());
    EXPECT_EQ(checked.summary.mapped_count(), 1500u);
  }
  stop = true;
  writer.join();
}

TEST_F(CheckE2eTest, DamagedFileThatIsNotOpenIsNamedAndNotCleared) {
  EXPECT_THAT(CheckFile().status, FailsWith(Reason::kDeviceInUse));
  ASSERT_THAT(Close(), Succeeds());
  EXPECT_TRUE(CheckFile().findings.empty());
  const uint64_t root = SuperblockOnFile().mapping_root.load();
  PatchFile(root, [](std::span<std::byte> block) { block[50] ^= std::byte{1}; });
  const Checked checked = CheckFile(/*clear=*/true);
  ASSERT_THAT(checked.status, Succeeds());
  ASSERT_GE(checked.findings.size(), 1u);
  EXPECT_EQ(checked.findings[0].kind(), "index_node_damaged");
  EXPECT_EQ(checked.findings[0].severity(), v1::CHECK_SEVERITY_FATAL);
  EXPECT_EQ(checked.findings[0].block(), root);
  EXPECT_EQ(checked.findings[0].cblocks().begin(), 0u);
  EXPECT_EQ(checked.findings[0].cblocks().end(), kCacheBlocks);
  EXPECT_EQ(checked.findings[0].mapping_count(), kCacheBlocks);
  EXPECT_EQ(checked.summary.fatal_count(), 1u);
  EXPECT_FALSE(checked.summary.needs_check_cleared());
}

TEST_F(CheckE2eTest, NeedsCheckOfAFileIsCleared) {
  ASSERT_THAT(Close(), Succeeds());
  PatchFile(0, [](std::span<std::byte> block) {
    auto& disk = MutableDiskView<DiskSuperblock>(block);
    disk.flags.store(disk.flags.load() | kFlagNeedsCheck);
    SealBlock(BlockType::kSuperblock, MetadataBlock(0), block);
  });
  const Checked checked = CheckFile(/*clear=*/true);
  ASSERT_THAT(checked.status, Succeeds());
  EXPECT_TRUE(checked.summary.needs_check());
  EXPECT_TRUE(checked.summary.needs_check_cleared());
  ASSERT_EQ(checked.findings.size(), 1u);
  EXPECT_EQ(checked.findings[0].severity(), v1::CHECK_SEVERITY_NOTE);
  EXPECT_EQ(SuperblockOnFile().flags.load() & kFlagNeedsCheck, 0u);
  OpenStandard();
}

TEST_F(CheckE2eTest, NeedsCheckOfAnOpenCacheIsClearedWhenTheDamageWasPassing) {
  faults_->damage_reads = true;
  EXPECT_GT(CheckCache().summary.fatal_count(), 0u);
  EXPECT_EQ(Get().state(), v1::Cache::STATE_NEEDS_CHECK);
  faults_->damage_reads = false;
  const Checked checked = CheckCache(/*clear=*/true);
  ASSERT_THAT(checked.status, Succeeds());
  EXPECT_TRUE(checked.summary.needs_check_cleared());
  EXPECT_THAT(MarkDirty({1}), FailsWith(Reason::kNeedsCheck));
  ASSERT_THAT(Close(), Succeeds());
  OpenStandard();
  EXPECT_THAT(MarkDirty({1}), Succeeds());
}

TEST_F(CheckE2eTest, CancelledOrAbandonedChecksLeaveTheDaemonServing) {
  for (int i = 0; i < 20; ++i) {
    v1::CheckRequest request;
    request.set_cache(kCache);
    Context context;
    const auto reader = stub_->Check(&context, request);
    v1::CheckResponse response;
    if (i % 2 == 0) reader->Read(&response);
    context.TryCancel();
    while (reader->Read(&response)) {
    }
    reader->Finish();
  }
  EXPECT_THAT(CheckCache().status, Succeeds());
  EXPECT_THAT(Close(), Succeeds());
}

TEST_F(CheckE2eTest, RequestsThatMakeNoSenseAreRefused) {
  EXPECT_THAT(Run({}).status, FailsWith(Reason::kInvalidRequest));
  v1::CheckRequest request;
  request.set_cache("nobody");
  EXPECT_THAT(Run(request).status, FailsWith(Reason::kCacheNotOpen));
  request.set_metadata_path("/x");
  EXPECT_THAT(Run(request).status, FailsWith(Reason::kInvalidRequest));
  request.clear_cache();
  request.set_metadata_path(folder_.File("none"));
  EXPECT_THAT(Run(request).status, FailsWith(Reason::kDeviceNotFound));
  request.set_metadata_path(NewMetadata("zeros"));
  EXPECT_THAT(Run(request).status, FailsWith(Reason::kNotFormatted));
}

}  // namespace
}  // namespace dmcached
