// Callers that ask for more than they take: memory stays bounded, and the others are served meanwhile.
#include <algorithm>
#include <atomic>
#include <fstream>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "core/format/layout.h"
#include "core/format/seal.h"
#include "core/maintenance/check_runner.h"
#include "dmcached/v1/maintenance_service.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/flood.h"
#include "tests/e2e/scrape.h"
#include "tests/e2e/switched_device.h"

namespace dmcached {
namespace {

// Sanitizers keep memory that was freed.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryTells = false;
#else
constexpr bool kMemoryTells = true;
#endif

class FloodsTest : public DaemonTest {
 protected:
  static constexpr uint32_t kMapped = 200000;

  FloodsTest() {
    config_.metrics = "127.0.0.1:0";
    opener_ = OpenSwitched(device_);
    Start();
    NewMetadata("metadata", 32 << 20);
    v1::CreateCacheRequest create = CreateRequest();
    create.set_cache_blocks(2 * kMapped);
    create.set_origin_size_sectors(uint64_t{2 * kMapped} * kBlockSectors);
    Create(create);
    for (uint32_t begin = 0; begin < kMapped; begin += 50000) {
      Pairs pairs;
      for (uint32_t i = begin; i < begin + 50000; ++i) pairs.emplace_back(i, i);
      EXPECT_THAT(Insert(pairs), Succeeds());
    }
    EXPECT_THAT(Commit(), Succeeds());
  }

  ~FloodsTest() override { device_->Release(); }

  Series Scraped() { return Scrape(app().metrics_address()); }
  // A caller with a connection of its own, which takes little at a time.
  std::shared_ptr<grpc::Channel> OtherChannel() {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
    arguments.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 65535);
    return grpc::CreateCustomChannel(app().addresses()[0], grpc::InsecureChannelCredentials(), arguments);
  }
  std::unique_ptr<v1::MetadataService::Stub> OtherCaller() { return v1::MetadataService::NewStub(OtherChannel()); }
  // One caller's whole work: it succeeds whatever the others do.
  void ExpectServed(uint32_t cblock) {
    EXPECT_THAT(Lookup({1, cblock}).mapped(), testing::ElementsAre(true, false));
    EXPECT_THAT(Insert({{cblock, cblock}}, /*dirty=*/true), Succeeds());
    EXPECT_THAT(Remove({{cblock, cblock}}, /*discard_dirty=*/true), Succeeds());
  }
  // The cache's metadata in a file of its own, in which every second word of arrays and every second free block of the
  // space map is wrong: more findings than the checker tells one by one.
  std::string DamagedCopy() {
    std::vector<std::byte> image = FileBytes(folder_.File("metadata"));
    const auto block = [&](uint64_t i) {
      return std::span(image).subspan(i * kMetadataBlockBytes, kMetadataBlockBytes);
    };
    const auto& map = DiskView<DiskSuperblock>(block(kSuperblockLocation)).metadata_space_map_root;
    const uint64_t location = DiskView<DiskIndexBlock>(block(map.bitmap_root.load())).entries[0].blocknr.load();
    auto& bitmap = MutableDiskView<DiskBitmapBlock>(block(location));
    for (uint64_t i = 0; i < map.nr_blocks.load(); ++i) {
      Le64& word = bitmap.words[i / kEntriesPerBitmapWord];
      const uint64_t shift = 2 * (i % kEntriesPerBitmapWord);
      if (i % 2 == 0 && (word.load() >> shift & 3) == 0) word.store(word.load() | kBitmapCount1 << shift);
      if (!CheckBlock(BlockType::kArrayBlock, MetadataBlock(i), block(i)).ok()) continue;
      for (size_t at = sizeof(DiskArrayBlockHeader); at < kMetadataBlockBytes; at += 16) block(i)[at] ^= std::byte{4};
      SealBlock(BlockType::kArrayBlock, MetadataBlock(i), block(i));
    }
    SealBlock(BlockType::kSpaceMapBitmap, MetadataBlock(location), block(location));
    const std::string path = folder_.File("damaged");
    std::ofstream(path, std::ios::binary)
        .write(reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
    return path;
  }
  void ExpectChecks(const std::string& cache) {
    v1::CheckRequest request;
    request.set_cache(cache);
    const auto stub = v1::MaintenanceService::NewStub(OtherChannel());
    v1::CheckResponse response;
    grpc::Status status;
    // One that has just ended, or was given up, counts for a moment longer.
    do {
      Context context;
      const auto stream = stub->Check(&context, request);
      while (stream->Read(&response)) {
      }
      status = stream->Finish();
    } while (status.error_code() == grpc::StatusCode::UNAVAILABLE && !HasFailure());
    EXPECT_THAT(status, Succeeds());
    EXPECT_EQ(response.summary().mapped_count(), kMapped);
  }

  const std::shared_ptr<DeviceSwitch> device_ = std::make_shared<DeviceSwitch>();
};

// The flood's marks wait for a flush that does not come; nobody else waits with them.
TEST_F(FloodsTest, AnotherCallerIsServedDuringAFloodOfRequests) {
  constexpr size_t kCalls = 1000;
  v1::LookupMappingsRequest lookup;
  lookup.set_cache(kCache);
  for (uint32_t i = 0; i < 2000; ++i) lookup.add_cblocks(i * 97 % kMapped);
  v1::MarkDirtyRequest mark;
  mark.set_cache(kCache);
  for (uint32_t i = 0; i < 100; ++i) mark.add_cblocks(i);
  const auto flooder = OtherCaller();
  const double before = Scraped().At("process_resident_memory_bytes");
  device_->Hold();
  const Flood<v1::MarkDirtyRequest, v1::MarkDirtyResponse> marks(
      kCalls, mark, [&](auto... call) { flooder->async()->MarkDirty(call...); });
  device_->AwaitHeld();
  const Flood<v1::LookupMappingsRequest, v1::LookupMappingsResponse> lookups(
      kCalls, lookup, [&](auto... call) { flooder->async()->LookupMappings(call...); });
  for (uint32_t i = 0; i < 100; ++i) {
    const uint32_t cblock = kMapped + i;
    ASSERT_THAT(Lookup({1, cblock}).mapped(), testing::ElementsAre(true, false));
    ASSERT_THAT(Insert({{cblock, cblock}}), Succeeds());
  }
  for (const grpc::Status& status : lookups.Await()) ASSERT_THAT(status, Succeeds());
  EXPECT_EQ(marks.answered(), 0u);
  const double grown = Scraped().At("process_resident_memory_bytes") - before;
  RecordProperty("grown_bytes", std::to_string(grown));
  if (kMemoryTells) {
    EXPECT_LT(grown, kCalls * 256.0 * 1024) << "with what the callers keep in this process";
  }
  device_->Release();
  for (const grpc::Status& status : marks.Await()) ASSERT_THAT(status, Succeeds());
}

struct SlowReader {
  Context context;
  std::unique_ptr<grpc::ClientReader<v1::ListMappingsResponse>> stream;
};

TEST_F(FloodsTest, ReadersThatStopHoldNeitherMemoryNorOthersUp) {
  constexpr uint32_t kReaders = 200;
  constexpr uint32_t kReadersPerCaller = 25;
  const Series before = Scraped();
  std::vector<std::unique_ptr<v1::MetadataService::Stub>> callers;
  std::vector<SlowReader> readers(kReaders);
  v1::ListMappingsRequest request;
  request.set_cache(kCache);
  for (uint32_t i = 0; i < kReaders; ++i) {
    if (i % kReadersPerCaller == 0) callers.push_back(OtherCaller());
    readers[i].stream = callers.back()->ListMappings(&readers[i].context, request);
    v1::ListMappingsResponse page;
    ASSERT_TRUE(readers[i].stream->Read(&page));
    // As many states as a cache holds for its readers.
    if (i % 50 == 49) ExpectServed(kMapped + i);
  }
  EXPECT_EQ(Get().snapshots(), 4u);
  const Series after = Scraped();
  const std::string read = "dmcached_device_io_bytes_total{cache=\"c1\",device=\"metadata\",op=\"read\"}";
  constexpr double kWholeList = 8.0 * kMapped;
  EXPECT_LT(after.At(read) - before.At(read), kReaders * kWholeList / 4)
      << "lists are read only as far as they are taken";
  EXPECT_LE(after.Of("dmcached_block_cache_bytes"), static_cast<double>(config_.block_cache_bytes));
  const double grown = after.At("process_resident_memory_bytes") - before.At("process_resident_memory_bytes");
  RecordProperty("grown_bytes", std::to_string(grown));
  RecordProperty("read_bytes", std::to_string(after.At(read) - before.At(read)));
  if (kMemoryTells) {
    EXPECT_LT(grown, kReaders * 512.0 * 1024);
  }
  for (SlowReader& reader : readers) {
    reader.context.TryCancel();
    v1::ListMappingsResponse page;
    while (reader.stream->Read(&page)) {
    }
    (void)reader.stream->Finish();
  }
  ExpectServed(kMapped);
}

// Acknowledgements are gathered up to a limit; then nothing more is read from the caller.
TEST_F(FloodsTest, AStreamOfMutationsThatIsNeverReadIsHeldBack) {
  constexpr uint64_t kBatches = 100000;  // 200 MB.
  constexpr uint32_t kItems = 1000;
  const auto caller = OtherCaller();
  Context context;
  const auto stream = caller->Mutate(&context);
  const double before = Scraped().At("process_resident_memory_bytes");
  const uint64_t revision = Get().revision();
  std::atomic<uint64_t> written{0};
  std::jthread writer([&] {
    v1::MutateRequest batch;
    batch.set_cache(kCache);
    for (uint32_t i = 0; i < kItems; ++i) batch.mutable_mark_dirty()->add_cblocks(100 * i);
    do {
      batch.set_batch(written + 1);
    } while (stream->Write(batch) && ++written < kBatches);
  });
  // Held back: nothing of it happens any more while the others are served many times.
  uint64_t seen = 0;
  for (uint32_t still = 0; still < 100 && written < kBatches && !HasFailure(); ++still) {
    ExpectServed(kMapped);
    const uint64_t now = written;
    if (now != seen) still = 0;
    seen = now;
  }
  EXPECT_LT(written, kBatches);
  EXPECT_GT(Get().revision(), revision);
  RecordProperty("applied", std::to_string(Get().revision() - revision));
  const double grown = Scraped().At("process_resident_memory_bytes") - before;
  RecordProperty("grown_bytes", std::to_string(grown));
  RecordProperty("written", std::to_string(written));
  if (kMemoryTells) {
    EXPECT_LT(grown, 64.0 * 1024 * 1024);
  }
  context.TryCancel();
  writer.join();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  ExpectServed(kMapped);
}

// A check does not wait for its reader, so what it found is kept: of so many callers only.
TEST_F(FloodsTest, ChecksThatAreNeverReadAreBounded) {
  constexpr size_t kRefused = 500;
  struct Caller {
    std::unique_ptr<Context> context;
    std::unique_ptr<grpc::ClientReader<v1::CheckResponse>> stream;
  };
  v1::CheckRequest request;
  request.set_metadata_path(DamagedCopy());
  const auto stub = v1::MaintenanceService::NewStub(OtherChannel());
  const double before = Scraped().At("process_resident_memory_bytes");
  std::vector<Caller> callers(CheckRunner::kMaxChecks);
  v1::CheckResponse response;
  for (size_t i = 0; i < callers.size(); ++i) {
    // All but the last are there already.
    if (i + 1 == callers.size()) ExpectChecks(kCache);
    // The check that has just ended may still count for a moment.
    for (bool begun = false; !begun;) {
      callers[i] = {std::make_unique<Context>(), nullptr};
      callers[i].stream = stub->Check(callers[i].context.get(), request);
      begun = callers[i].stream->Read(&response);
      if (!begun) {
        ASSERT_EQ(i + 1, callers.size());
        ASSERT_THAT(callers[i].stream->Finish(), FailsWith(Reason::kOverloaded));
      }
    }
  }
  for (size_t i = 0; i < kRefused; ++i) {
    Context context;
    const auto stream = stub->Check(&context, request);
    ASSERT_FALSE(stream->Read(&response));
    ASSERT_THAT(stream->Finish(), FailsWith(Reason::kOverloaded));
  }
  EXPECT_THAT(MarkDirty({1}), Succeeds());
  ExpectServed(kMapped);
  const double grown = Scraped().At("process_resident_memory_bytes") - before;
  RecordProperty("grown_bytes", std::to_string(grown));
  if (kMemoryTells) {
    constexpr double kRunningCheck = 32.0 * 1024 * 1024;  // What the one that runs works with.
    EXPECT_LT(grown, kRunningCheck + static_cast<double>(CheckRunner::kMaxChecks) * 1024 * 1024);
  }
  // One reads to its end, the others go: there is room for others again.
  uint64_t findings = 0;
  for (; callers[0].stream->Read(&response); findings += response.findings_size()) {
  }
  EXPECT_THAT(callers[0].stream->Finish(), Succeeds());
  EXPECT_GT(findings, 1000u);
  ExpectChecks(kCache);
  for (Caller& caller : callers) caller.context->TryCancel();
  ExpectChecks(kCache);
}

}  // namespace
}  // namespace dmcached
