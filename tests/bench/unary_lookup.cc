// One look-up a call, beside a call that says and asks nothing.
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "grpcpp/client_context.h"
#include "tests/bench/cases.h"
#include "tests/bench/remote_cache.h"
#include "tests/bench/rpc_server.h"

namespace dmcached::bench {
namespace {

constexpr uint32_t kCblocks = 1000000;

void MapAll(RemoteCache& cache) {
  std::vector<v1::MutateRequest> batches;
  constexpr uint32_t kItems = 10000;
  for (uint32_t begin = 0; begin < kCblocks; begin += kItems) {
    v1::MutateRequest& batch = batches.emplace_back();
    batch.set_batch(batches.size());
    v1::InsertMappingsRequest& insert = *batch.mutable_insert_mappings();
    for (uint32_t cblock = begin; cblock < begin + kItems; ++cblock) {
      insert.add_cblocks(cblock);
      insert.add_oblocks(2 * uint64_t{cblock});
    }
    insert.mutable_options()->set_request_id(absl::StrCat(batch.batch()));
    insert.mutable_options()->set_incarnation(cache.incarnation());
  }
  batches.front().set_cache(RemoteCache::kName);
  cache.Mutate(batches);
}

void Call(v1::MetadataService::Stub& stub, const v1::LookupMappingsRequest& request) {
  grpc::ClientContext context;
  v1::LookupMappingsResponse response;
  if (!stub.LookupMappings(&context, request, &response).ok()) GiveUp("a look-up failed");
}

class Contender {
 public:
  // `make`: the request that asks for a cblock.
  Contender(const RpcServer& server, std::function<v1::LookupMappingsRequest(uint32_t)> make)
      : server_(server), stub_(v1::MetadataService::NewStub(server.channel())), make_(std::move(make)) {}

  // Calls a second of `callers` that each wait for their own.
  double Rate(int callers, uint64_t calls) {
    const auto caller = [&](int seed) {
      std::mt19937 generator(static_cast<uint32_t>(seed));
      for (uint64_t i = 0; i < calls; ++i) Call(*stub_, make_(static_cast<uint32_t>(generator() % kCblocks)));
    };
    const double cpu_before = server_.Cpu();
    const double begin = Now();
    std::vector<std::thread> threads;
    for (int i = 1; i < callers; ++i) threads.emplace_back(caller, i);
    caller(0);
    for (std::thread& thread : threads) thread.join();
    const double took = Now() - begin;
    const double all = static_cast<double>(calls) * callers;
    cpu_.push_back((server_.Cpu() - cpu_before) / all * 1e6);
    return all / took;
  }
  // Of the server, the median since the last call.
  double CpuOfMillion() { return Median(std::exchange(cpu_, {})); }

 private:
  const RpcServer& server_;
  const std::unique_ptr<v1::MetadataService::Stub> stub_;
  const std::function<v1::LookupMappingsRequest(uint32_t)> make_;
  std::vector<double> cpu_;
};

v1::LookupMappingsRequest Question(uint32_t cblock) {
  v1::LookupMappingsRequest request;
  request.set_cache(RemoteCache::kName);
  request.add_cblocks(cblock);
  return request;
}

}  // namespace

void UnaryLookup(Run& run) {
  const RpcServer daemon(RpcServer::Kind::kDaemon, run.NewPath("daemon"));
  const RpcServer idle(RpcServer::Kind::kIdle, run.NewPath("idle"));
  RemoteCache cache(daemon.channel(), run, kCblocks);
  MapAll(cache);
  Contender ours(daemon, Question);
  Contender yardstick(idle, [](uint32_t) { return v1::LookupMappingsRequest(); });
  for (const int callers : {1, 16}) {
    const uint64_t calls = run.Work(20000, 4000) / static_cast<uint64_t>(callers);
    ours.Rate(callers, calls);
    ours.CpuOfMillion();
    const Rounds rounds(run.quick() ? 7 : 15,
                        {[&] { return ours.Rate(callers, calls); }, [&] { return yardstick.Rate(callers, calls); }});
    run.Compare(absl::StrCat("look-ups of a resident mapping, callers: ", callers), rounds, 0, 1, "calls/s",
                "an empty unary call", AtLeast(0.85));
    run.Add("  server's processor time of a million", ours.CpuOfMillion(), "s");
    run.Add("  the same, empty calls", yardstick.CpuOfMillion(), "s");
  }
}

}  // namespace dmcached::bench
