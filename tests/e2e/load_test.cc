// Many callers with mutations of every kind, and SIGTERM in the middle: what each was told is there afterwards.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "dmcached/v1/cache_service.grpc.pb.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "tests/e2e/call.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/process.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

constexpr uint32_t kCallers = 64;
constexpr uint32_t kCblocksEach = 100;
constexpr uint64_t kOblocksEach = 10000;  // A caller's oblocks cover whole dblocks of its own.

// What is known of one cblock.  Its hint stays when the mapping is removed, and is the next mapping's until it is
// saved.
struct Known {
  bool mapped = false;
  uint64_t oblock = 0;
  bool dirty = false;
  uint32_t hint = 0;
  bool operator==(const Known&) const = default;
};

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

// One caller.  It alone changes its cblocks, oblocks and dblocks, one request after the other, so it knows what must be
// there; only of the last request, if nobody answered it, it knows two possibilities.
class Caller {
 public:
  Caller(uint32_t number, uint64_t seed, uint64_t incarnation, uint64_t oblocks_per_dblock)
      : number_(number), random_(seed), incarnation_(incarnation), per_dblock_(oblocks_per_dblock) {
    first_oblock_ = CeilDiv(number * kOblocksEach, per_dblock_) * per_dblock_;
    for (uint32_t i = 0; i < kCblocksEach; ++i) known_[number * kCblocksEach + i] = {};
  }

  // Until a request is not answered with OK.
  void Work(v1::MetadataService::Stub& stub, std::atomic<uint64_t>& answered) {
    while (Step(stub)) ++answered;
  }

  void Verify(const std::map<uint32_t, Known>& found, const std::set<uint64_t>& discards) const {
    for (const auto& [cblock, known] : known_) {
      const auto at = found.find(cblock);
      Known now = at == found.end() ? Known{} : at->second;
      if (!now.mapped) now.hint = known.hint;
      if (now == known || (cblock == unsettled_cblock_ && now == unsettled_)) continue;
      ADD_FAILURE() << "caller " << number_ << ", cblock " << cblock << ": mapped " << now.mapped << " oblock "
                    << now.oblock << " dirty " << now.dirty << " hint " << now.hint << ", acknowledged " << known.mapped
                    << " " << known.oblock << " " << known.dirty << " " << known.hint;
    }
    for (uint64_t i = 0; i < kDblocks; ++i) {
      const uint64_t dblock = Dblock(i);
      if (dblock == unsettled_dblock_) continue;
      EXPECT_EQ(discards.count(dblock), discards_.count(dblock)) << "caller " << number_ << ", dblock " << dblock;
    }
  }

 private:
  static constexpr uint64_t kDblocks = 4;  // Behind the oblocks that it maps.

  uint64_t Dblock(uint64_t i) const { return first_oblock_ / per_dblock_ + CeilDiv(kCblocksEach, per_dblock_) + i; }

  template <typename Request, typename Response>
  bool Send(v1::MetadataService::Stub& stub,
            grpc::Status (v1::MetadataService::Stub::*rpc)(grpc::ClientContext*, const Request&, Response*),
            Request request) {
    request.set_cache("c1");
    request.mutable_options()->set_request_id(std::to_string(number_) + "-" + std::to_string(next_id_++));
    request.mutable_options()->set_incarnation(incarnation_);
    Context context;
    Response response;
    return (stub.*rpc)(&context, request, &response).ok();
  }

  bool Step(v1::MetadataService::Stub& stub) {
    if (random_.Below(8) == 0) return Discard(stub);
    const uint32_t cblock = number_ * kCblocksEach + static_cast<uint32_t>(random_.Below(kCblocksEach));
    Known after = known_[cblock];
    bool answered = false;
    if (!after.mapped) {
      after = {.mapped = true,
               .oblock = first_oblock_ + cblock % kCblocksEach,
               .dirty = random_.Below(2) == 0,
               .hint = after.hint};
      v1::InsertMappingsRequest request;
      request.add_cblocks(cblock);
      request.add_oblocks(after.oblock);
      request.add_dirty(after.dirty);
      answered = Send(stub, &v1::MetadataService::Stub::InsertMappings, request);
    } else {
      answered = Change(stub, cblock, after);
    }
    if (answered) {
      known_[cblock] = after;
    } else {
      unsettled_cblock_ = cblock;
      unsettled_ = after;
    }
    return answered;
  }

  bool Change(v1::MetadataService::Stub& stub, uint32_t cblock, Known& after) {
    switch (random_.Below(4)) {
      case 0: {
        after.dirty = true;
        v1::MarkDirtyRequest request;
        request.add_cblocks(cblock);
        return Send(stub, &v1::MetadataService::Stub::MarkDirty, request);
      }
      case 1: {
        after.dirty = false;
        v1::ClearDirtyRequest request;
        request.add_cblocks(cblock);
        request.add_oblocks(after.oblock);
        return Send(stub, &v1::MetadataService::Stub::ClearDirty, request);
      }
      case 2: {
        after.hint = static_cast<uint32_t>(random_.Below(1000000));
        v1::SaveHintsRequest request;
        request.add_cblocks(cblock);
        request.add_hints(after.hint);
        return Send(stub, &v1::MetadataService::Stub::SaveHints, request);
      }
      default: {
        v1::RemoveMappingsRequest request;
        request.add_cblocks(cblock);
        request.add_oblocks(after.oblock);
        request.set_discard_dirty(true);
        after = {.mapped = false, .oblock = 0, .dirty = false, .hint = after.hint};
        return Send(stub, &v1::MetadataService::Stub::RemoveMappings, request);
      }
    }
  }

  bool Discard(v1::MetadataService::Stub& stub) {
    const uint64_t dblock = Dblock(random_.Below(kDblocks));
    const bool set = discards_.count(dblock) == 0;
    v1::BlockRange range;
    range.set_begin(dblock);
    range.set_end(dblock + 1);
    bool answered = false;
    if (set) {
      v1::SetDiscardsRequest request;
      *request.add_ranges() = range;
      answered = Send(stub, &v1::MetadataService::Stub::SetDiscards, request);
    } else {
      v1::ClearDiscardsRequest request;
      *request.add_ranges() = range;
      answered = Send(stub, &v1::MetadataService::Stub::ClearDiscards, request);
    }
    if (!answered) {
      unsettled_dblock_ = dblock;
    } else if (set) {
      discards_.insert(dblock);
    } else {
      discards_.erase(dblock);
    }
    return answered;
  }

  const uint32_t number_;
  Random random_;
  const uint64_t incarnation_;
  const uint64_t per_dblock_;
  uint64_t first_oblock_ = 0;
  uint64_t next_id_ = 0;
  std::map<uint32_t, Known> known_;
  std::set<uint64_t> discards_;
  std::optional<uint32_t> unsettled_cblock_;
  Known unsettled_;
  std::optional<uint64_t> unsettled_dblock_;
};

class LoadTest : public testing::Test {
 protected:
  std::unique_ptr<Process> Run() {
    auto daemon = std::make_unique<Process>(std::vector<std::string>{"--listen", address_},
                                            folder_.File("stderr-" + std::to_string(runs_++)));
    daemon->ReadLine();
    channel_ = Connect(address_);
    return daemon;
  }
  v1::Cache Create() {
    v1::CreateCacheRequest request;
    request.set_name("c1");
    request.set_metadata_path(folder_.CreateFile("metadata", 8 << 20));
    request.set_data_block_size_sectors(64);
    request.set_cache_blocks(kCallers * kCblocksEach);
    request.set_origin_size_sectors((kCallers + 1) * kOblocksEach * 64);
    Context context;
    v1::CreateCacheResponse response;
    EXPECT_THAT(v1::CacheService::NewStub(channel_)->CreateCache(&context, request, &response), Succeeds());
    v1::BeginHintsRequest hints;
    hints.set_cache("c1");
    hints.set_policy_name("smq");
    hints.set_hint_size_bytes(4);
    Context hints_context;
    v1::BeginHintsResponse begun;
    EXPECT_THAT(v1::MetadataService::NewStub(channel_)->BeginHints(&hints_context, hints, &begun), Succeeds());
    return response.cache();
  }
  void OpenClean() {
    v1::OpenCacheRequest request;
    request.set_name("c1");
    request.set_metadata_path(folder_.File("metadata"));
    Context context;
    v1::OpenCacheResponse response;
    ASSERT_THAT(v1::CacheService::NewStub(channel_)->OpenCache(&context, request, &response), Succeeds());
    EXPECT_FALSE(response.adopted());
  }
  std::map<uint32_t, Known> ReadMappings() {
    v1::ListMappingsRequest request;
    request.set_cache("c1");
    Context context;
    const auto stub = v1::MetadataService::NewStub(channel_);
    const auto reader = stub->ListMappings(&context, request);
    std::map<uint32_t, Known> found;
    for (v1::ListMappingsResponse page; reader->Read(&page);) {
      for (int i = 0; i < page.cblocks_size(); ++i) {
        found[page.cblocks(i)] = {true, page.oblocks(i), page.dirty(i), page.hints(i)};
      }
    }
    EXPECT_THAT(reader->Finish(), Succeeds());
    return found;
  }
  std::set<uint64_t> ReadDiscards() {
    v1::ListDiscardsRequest request;
    request.set_cache("c1");
    Context context;
    const auto stub = v1::MetadataService::NewStub(channel_);
    const auto reader = stub->ListDiscards(&context, request);
    std::set<uint64_t> found;
    for (v1::ListDiscardsResponse page; reader->Read(&page);) {
      for (int i = 0; i < page.begins_size(); ++i) {
        for (uint64_t dblock = page.begins(i); dblock < page.ends(i); ++dblock) found.insert(dblock);
      }
    }
    EXPECT_THAT(reader->Finish(), Succeeds());
    return found;
  }

  TempDir folder_;
  const std::string address_ = "unix:" + folder_.File("s");
  int runs_ = 0;
  std::shared_ptr<grpc::Channel> channel_;
};

TEST_F(LoadTest, SixtyFourCallersFindWhatTheyWereToldAfterSigterm) {
  const uint64_t seed = TestSeed();
  auto daemon = Run();
  const v1::Cache cache = Create();
  const uint64_t per_dblock = cache.superblock().discard_block_size_sectors() / 64;
  ASSERT_LE((kCblocksEach + 6 * per_dblock), kOblocksEach);
  std::vector<std::unique_ptr<Caller>> callers;
  for (uint32_t i = 0; i < kCallers; ++i) {
    callers.push_back(std::make_unique<Caller>(i, seed + i, cache.incarnation(), per_dblock));
  }
  std::atomic<uint64_t> answered{0};
  {
    std::vector<std::jthread> threads;
    for (const auto& caller : callers) {
      threads.emplace_back([&] {
        const auto stub = v1::MetadataService::NewStub(Connect(address_));
        caller->Work(*stub, answered);
      });
    }
    while (answered < 5000) std::this_thread::yield();
    daemon->Signal(SIGTERM);
    EXPECT_EQ(daemon->Wait(), 0) << daemon->Stderr();
  }
  daemon = Run();
  OpenClean();
  const std::map<uint32_t, Known> found = ReadMappings();
  const std::set<uint64_t> discards = ReadDiscards();
  for (const auto& caller : callers) caller->Verify(found, discards);
}

}  // namespace
}  // namespace dmcached
