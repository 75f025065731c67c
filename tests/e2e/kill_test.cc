// kill -9 of the daemon under concurrent load, again and again: what each caller was told is there after the restart.
//
// DMCACHED_KILLS: how often (default 3).  This proves the order in which the process does things; the page cache
// survives it, so durability on the medium is tests/crash's part.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dmcached/v1/cache_service.grpc.pb.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"
#include "grpcpp/create_channel.h"
#include "tests/e2e/call.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/process.h"
#include "tests/support/alarms.h"
#include "tests/support/image_walker.h"
#include "tests/support/random.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

constexpr uint32_t kCallers = 16;
constexpr uint32_t kCblocksEach = 50;
constexpr uint64_t kOblockOffset = 7;

std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

void SetBatch(const v1::InsertMappingsRequest& request, v1::MutateRequest* batch) {
  *batch->mutable_insert_mappings() = request;
}
void SetBatch(const v1::RemoveMappingsRequest& request, v1::MutateRequest* batch) {
  *batch->mutable_remove_mappings() = request;
}
void SetBatch(const v1::MarkDirtyRequest& request, v1::MutateRequest* batch) { *batch->mutable_mark_dirty() = request; }
void SetBatch(const v1::ClearDirtyRequest& request, v1::MutateRequest* batch) {
  *batch->mutable_clear_dirty() = request;
}

// One caller with cblocks of its own; it lives longer than the daemons.
class Caller {
 public:
  // With `in_stream` it sends everything in a Mutate stream.
  Caller(uint32_t number, uint64_t seed, bool in_stream)
      : number_(number), in_stream_(in_stream), random_(seed), known_(kCblocksEach) {}

  // Until a request is not answered, which only a kill may cause.
  void Work(v1::MetadataService::Stub& stub, uint64_t incarnation, std::atomic<uint64_t>& answered) {
    incarnation_ = incarnation;
    Context context;
    batches_ = 0;
    if (in_stream_) stream_ = stub.Mutate(&context);
    while (Step(stub)) ++answered;
    stream_.reset();
  }

  // Compares with what is found, and takes that for the truth from now on.
  void Verify(const std::map<uint32_t, MappedTo>& found) {
    for (uint32_t i = 0; i < kCblocksEach; ++i) {
      const auto at = found.find(Cblock(i));
      const bool mapped = at != found.end();
      Known& known = known_[i];
      if (i != unsettled_) {
        EXPECT_EQ(mapped, known.mapped) << "cblock " << Cblock(i);
        if (mapped) {
          EXPECT_EQ(at->second.oblock, Cblock(i) + kOblockOffset);
          EXPECT_TRUE(at->second.dirty || !known.dirty)
              << "the acknowledged mark of cblock " << Cblock(i) << " is lost";
        }
      }
      known = {mapped, mapped && at->second.dirty};
    }
    unsettled_.reset();
  }

 private:
  struct Known {
    bool mapped = false;
    bool dirty = false;  // Acknowledged, and no clear was sent since.
  };

  uint32_t Cblock(uint32_t i) const { return number_ * kCblocksEach + i; }

  template <typename Request, typename Response>
  bool Send(v1::MetadataService::Stub& stub,
            grpc::Status (v1::MetadataService::Stub::*rpc)(grpc::ClientContext*, const Request&, Response*), uint32_t i,
            Request request) {
    request.mutable_options()->set_request_id(std::to_string(number_) + "-" + std::to_string(next_id_++));
    request.mutable_options()->set_incarnation(incarnation_);
    request.add_cblocks(Cblock(i));
    const grpc::Status status = in_stream_ ? SendInStream(request) : Call(stub, rpc, request);
    if (status.ok()) return true;
    EXPECT_THAT(status.error_code(), testing::AnyOf(grpc::StatusCode::UNAVAILABLE, grpc::StatusCode::CANCELLED))
        << status.error_message();
    EXPECT_EQ(ErrorInfoOf(status).reason(), "") << "refused by the daemon: " << status.error_message();
    unsettled_ = i;
    return false;
  }

  template <typename Request, typename Response>
  static grpc::Status Call(v1::MetadataService::Stub& stub,
                           grpc::Status (v1::MetadataService::Stub::*rpc)(grpc::ClientContext*, const Request&,
                                                                          Response*),
                           Request& request) {
    request.set_cache("c1");
    Context context;
    Response response;
    return (stub.*rpc)(&context, request, &response);
  }

  // A batch that is answered once it is durable.
  template <typename Request>
  grpc::Status SendInStream(Request& request) {
    request.mutable_options()->set_durable(true);
    v1::MutateRequest batch;
    if (batches_ == 0) batch.set_cache("c1");
    batch.set_batch(++batches_);
    SetBatch(request, &batch);
    v1::MutateResponse response;
    if (stream_->Write(batch)) {
      while (stream_->Read(&response)) {
        if (response.durable_through() >= batches_) return grpc::Status::OK;
      }
    }
    const grpc::Status ended = stream_->Finish();
    return ended.ok() ? grpc::Status(grpc::StatusCode::UNKNOWN, "the stream ended with OK") : ended;
  }

  bool Step(v1::MetadataService::Stub& stub) {
    const auto i = static_cast<uint32_t>(random_.Below(kCblocksEach));
    Known& known = known_[i];
    if (!known.mapped) {
      v1::InsertMappingsRequest insert;
      insert.add_oblocks(Cblock(i) + kOblockOffset);
      const bool dirty = random_.Below(2) == 0;
      insert.add_dirty(dirty);
      insert.mutable_options()->set_durable(true);  // A clean one would be answered once it is applied.
      if (!Send(stub, &v1::MetadataService::Stub::InsertMappings, i, insert)) return false;
      known = {true, dirty};
      return true;
    }
    switch (random_.Below(3)) {
      case 0:
        if (!Send(stub, &v1::MetadataService::Stub::MarkDirty, i, v1::MarkDirtyRequest())) return false;
        known.dirty = true;
        return true;
      case 1: {
        known.dirty = false;
        v1::ClearDirtyRequest clear;
        clear.add_oblocks(Cblock(i) + kOblockOffset);
        return Send(stub, &v1::MetadataService::Stub::ClearDirty, i, clear);
      }
      default: {
        v1::RemoveMappingsRequest remove;
        remove.add_oblocks(Cblock(i) + kOblockOffset);
        remove.set_discard_dirty(true);
        if (!Send(stub, &v1::MetadataService::Stub::RemoveMappings, i, remove)) return false;
        known = {};
        return true;
      }
    }
  }

  const uint32_t number_;
  const bool in_stream_;
  std::unique_ptr<grpc::ClientReaderWriter<v1::MutateRequest, v1::MutateResponse>> stream_;
  uint64_t batches_ = 0;  // Of the stream.
  Random random_;
  uint64_t incarnation_ = 0;
  uint64_t next_id_ = 0;
  std::vector<Known> known_;
  std::optional<uint32_t> unsettled_;  // The last request was about it and had no answer.
};

class KillTest : public testing::Test {
 protected:
  std::unique_ptr<Process> Run() {
    auto daemon = std::make_unique<Process>(std::vector<std::string>{"--listen", address_}, folder_.File("stderr"));
    daemon->ReadLine();
    return daemon;
  }
  // The incarnation.
  uint64_t Create() {
    v1::CreateCacheRequest request;
    request.set_name("c1");
    request.set_metadata_path(folder_.CreateFile("metadata", 1 << 20));
    request.set_data_block_size_sectors(64);
    request.set_cache_blocks(kCallers * kCblocksEach);
    request.set_origin_size_sectors(uint64_t{64} * 100000);
    Context context;
    v1::CreateCacheResponse response;
    EXPECT_THAT(v1::CacheService::NewStub(Connect(address_))->CreateCache(&context, request, &response), Succeeds());
    return response.cache().incarnation();
  }
  uint64_t Open() {
    v1::OpenCacheRequest request;
    request.set_name("c1");
    request.set_metadata_path(folder_.File("metadata"));
    Context context;
    v1::OpenCacheResponse response;
    EXPECT_THAT(v1::CacheService::NewStub(Connect(address_))->OpenCache(&context, request, &response), Succeeds());
    EXPECT_FALSE(response.adopted());
    return response.cache().incarnation();
  }
  // What the daemon says of the cache it has opened.
  std::map<uint32_t, MappedTo> List() {
    v1::ListMappingsRequest request;
    request.set_cache("c1");
    Context context;
    const auto stub = v1::MetadataService::NewStub(Connect(address_));
    const auto stream = stub->ListMappings(&context, request);
    std::map<uint32_t, MappedTo> mappings;
    for (v1::ListMappingsResponse page; stream->Read(&page);) {
      for (int i = 0; i < page.cblocks_size(); ++i) mappings[page.cblocks(i)] = {page.oblocks(i), page.dirty(i)};
    }
    EXPECT_THAT(stream->Finish(), Succeeds());
    return mappings;
  }
  WalkedImage Walk() {
    std::ifstream file(folder_.File("metadata"), std::ios::binary);
    const std::string bytes(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(Alarms(std::as_bytes(std::span(bytes))).ToString(), "");
    return WalkImage(std::as_bytes(std::span(bytes)));
  }

  TempDir folder_;
  const std::string address_ = "unix:" + folder_.File("s");
};

TEST_F(KillTest, WhatWasAcknowledgedIsThereAfterEveryKill) {
  const char* text = std::getenv("DMCACHED_KILLS");
  const int kills = text == nullptr ? 3 : std::atoi(text);
  Random random;
  std::vector<std::unique_ptr<Caller>> callers;
  for (uint32_t i = 0; i < kCallers; ++i) {
    callers.push_back(std::make_unique<Caller>(i, random.Next(), /*in_stream=*/i % 4 == 0));
  }
  std::atomic<uint64_t> answered{0};
  // As decoded after the last kill, which every caller has agreed to.
  std::map<uint32_t, MappedTo> mappings;
  int killed = 0;
  for (; killed < kills && !HasFailure(); ++killed) {
    auto daemon = Run();
    const uint64_t incarnation = killed == 0 ? Create() : Open();
    EXPECT_EQ(List(), mappings) << "the daemon does not say what it finds";
    ASSERT_FALSE(HasFailure()) << daemon->Stderr();
    const uint64_t until = answered + random.Between(100, 1500);
    std::atomic<uint32_t> working{kCallers};
    std::vector<std::jthread> threads;
    for (const auto& caller : callers) {
      threads.emplace_back([&] {
        const auto stub = v1::MetadataService::NewStub(Connect(address_));
        caller->Work(*stub, incarnation, answered);
        --working;
      });
    }
    while (answered < until && working == kCallers) std::this_thread::yield();
    EXPECT_EQ(working, kCallers) << "a caller had no answer before the kill";
    daemon->Signal(SIGKILL);
    EXPECT_EQ(daemon->Wait(), -1);
    threads.clear();
    const WalkedImage left = Walk();
    EXPECT_EQ(left.Faults(), "");
    EXPECT_TRUE(left.contents.clean_shutdown) << "EXACT metadata is always clean";
    for (const auto& caller : callers) caller->Verify(left.contents.mappings);
    mappings = left.contents.mappings;
  }
  const auto last = Run();
  Open();
  EXPECT_EQ(List(), mappings) << "the daemon does not say what it finds";
  std::printf("%d kills, %llu acknowledgements verified\n", killed, static_cast<unsigned long long>(answered));
}

}  // namespace
}  // namespace dmcached
