// The real executable: what it prints, its exit codes, signals, two of them at once.
#include "tests/e2e/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "dmcached/v1/cache_service.grpc.pb.h"
#include "dmcached/v1/metadata_service.grpc.pb.h"
#include "grpcpp/client_context.h"
#include "grpcpp/create_channel.h"
#include "tests/e2e/call.h"
#include "tests/e2e/daemon.h"
#include "tests/e2e/http_get.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

class ProcessTest : public testing::Test {
 protected:
  std::unique_ptr<Process> Run(const std::vector<std::string>& arguments) {
    return std::make_unique<Process>(arguments, folder_.File("stderr-" + std::to_string(runs_++)));
  }
  std::unique_ptr<Process> RunOnSocket() { return Run({"--listen", "unix:" + folder_.File("s")}); }

  std::shared_ptr<grpc::Channel> Connect(const std::string& address) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
  }
  // A connection that says nothing.
  int ConnectSilently() {
    sockaddr_un to = {};
    to.sun_family = AF_UNIX;
    folder_.File("s").copy(to.sun_path, sizeof to.sun_path - 1);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to), 0);
    return fd;
  }
  v1::Cache Create(const std::shared_ptr<grpc::Channel>& channel) {
    v1::CreateCacheRequest request;
    request.set_name("c1");
    request.set_metadata_path(folder_.CreateFile("metadata", 4 << 20));
    request.set_data_block_size_sectors(64);
    request.set_cache_blocks(20000);
    Context context;
    v1::CreateCacheResponse response;
    EXPECT_THAT(v1::CacheService::NewStub(channel)->CreateCache(&context, request, &response), Succeeds());
    return response.cache();
  }
  v1::ProbeCacheResponse Probe(const std::shared_ptr<grpc::Channel>& channel) {
    v1::ProbeCacheRequest request;
    request.set_metadata_path(folder_.File("metadata"));
    Context context;
    v1::ProbeCacheResponse response;
    EXPECT_THAT(v1::CacheService::NewStub(channel)->ProbeCache(&context, request, &response), Succeeds());
    return response;
  }

  TempDir folder_;
  int runs_ = 0;
};

TEST_F(ProcessTest, PrintsWhatItReallyBoundAndServesThere) {
  const auto daemon = Run({"--listen", "unix:" + folder_.File("s"), "--listen", "127.0.0.1:0", "--insecure-loopback",
                           "--metrics", "127.0.0.1:0"});
  const std::string line = daemon->ReadLine();
  std::istringstream words(line);
  std::string name, version, serving, on, socket, tcp, metrics;
  words >> name >> version >> serving >> on >> socket >> tcp >> metrics;
  EXPECT_EQ(name + " " + serving + " " + on, "dmcached serving on") << line;
  EXPECT_EQ(socket, "unix:" + folder_.File("s"));
  ASSERT_THAT(metrics, testing::StartsWith("metrics=127.0.0.1:"));
  EXPECT_EQ(HttpGet(metrics.substr(8), "/readyz").status, 200);
  for (const std::string& address : {socket, tcp}) {
    Context context;
    v1::GetServerInfoResponse info;
    EXPECT_THAT(v1::CacheService::NewStub(Connect(address))->GetServerInfo(&context, {}, &info), Succeeds()) << address;
    EXPECT_EQ(info.version(), version);
  }
  daemon->Signal(SIGINT);
  EXPECT_EQ(daemon->Wait(), 0);
  EXPECT_NE(access(folder_.File("s").c_str(), F_OK), 0);
}

TEST_F(ProcessTest, SigtermClosesEveryCacheClean) {
  auto daemon = RunOnSocket();
  daemon->ReadLine();
  auto channel = Connect("unix:" + folder_.File("s"));
  const v1::Cache cache = Create(channel);
  v1::InsertMappingsRequest request;
  request.set_cache("c1");
  request.add_cblocks(1);
  request.add_oblocks(10);
  request.mutable_options()->set_request_id("r");
  request.mutable_options()->set_incarnation(cache.incarnation());
  Context context;
  v1::InsertMappingsResponse response;
  ASSERT_THAT(v1::MetadataService::NewStub(channel)->InsertMappings(&context, request, &response), Succeeds());
  daemon->Signal(SIGTERM);
  EXPECT_EQ(daemon->Wait(), 0) << daemon->Stderr();
  EXPECT_THAT(daemon->Stderr(), HasSubstr("event=stopped"));

  daemon = RunOnSocket();
  daemon->ReadLine();
  channel = Connect("unix:" + folder_.File("s"));
  EXPECT_TRUE(Probe(channel).superblock().clean_shutdown());
  v1::OpenCacheRequest open;
  open.set_name("c1");
  open.set_metadata_path(folder_.File("metadata"));
  Context second;
  v1::OpenCacheResponse opened;
  ASSERT_THAT(v1::CacheService::NewStub(channel)->OpenCache(&second, open, &opened), Succeeds());
  EXPECT_FALSE(opened.adopted());
  EXPECT_EQ(opened.cache().mapped_blocks(), 1u);  // It was only applied when SIGTERM came.
}

TEST_F(ProcessTest, WhatWasAcknowledgedUnderLoadIsThereAfterSigterm) {
  auto daemon = RunOnSocket();
  daemon->ReadLine();
  const std::string address = "unix:" + folder_.File("s");
  const uint64_t incarnation = Create(Connect(address)).incarnation();
  constexpr uint32_t kCallers = 16;
  std::vector<std::vector<uint32_t>> acknowledged(kCallers);
  std::atomic<uint32_t> answered{0};
  {
    std::vector<std::jthread> callers;
    for (uint32_t caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller] {
        const auto stub = v1::MetadataService::NewStub(Connect(address));
        for (uint32_t i = 0; i < 1000; ++i) {
          const uint32_t cblock = caller * 1000 + i;
          v1::InsertMappingsRequest request;
          request.set_cache("c1");
          request.add_cblocks(cblock);
          request.add_oblocks(uint64_t{cblock} + 7);
          request.add_dirty(true);
          request.mutable_options()->set_request_id("r" + std::to_string(cblock));
          request.mutable_options()->set_incarnation(incarnation);
          Context context;
          v1::InsertMappingsResponse response;
          if (!stub->InsertMappings(&context, request, &response).ok()) return;
          acknowledged[caller].push_back(cblock);
          ++answered;
        }
      });
    }
    while (answered < 200) std::this_thread::yield();
    daemon->Signal(SIGTERM);
    EXPECT_EQ(daemon->Wait(), 0) << daemon->Stderr();
  }

  daemon = RunOnSocket();
  daemon->ReadLine();
  const auto channel = Connect(address);
  v1::OpenCacheRequest open;
  open.set_name("c1");
  open.set_metadata_path(folder_.File("metadata"));
  Context context;
  v1::OpenCacheResponse opened;
  ASSERT_THAT(v1::CacheService::NewStub(channel)->OpenCache(&context, open, &opened), Succeeds());
  EXPECT_FALSE(opened.adopted());
  for (const std::vector<uint32_t>& blocks : acknowledged) {
    if (blocks.empty()) continue;
    v1::LookupMappingsRequest request;
    request.set_cache("c1");
    request.mutable_cblocks()->Add(blocks.begin(), blocks.end());
    Context lookup;
    v1::LookupMappingsResponse found;
    ASSERT_THAT(v1::MetadataService::NewStub(channel)->LookupMappings(&lookup, request, &found), Succeeds());
    for (int i = 0; i < found.mapped_size(); ++i) {
      ASSERT_TRUE(found.mapped(i)) << found.cblocks(i);
      ASSERT_TRUE(found.dirty(i)) << found.cblocks(i);
      ASSERT_EQ(found.oblocks(i), uint64_t{found.cblocks(i)} + 7);
    }
  }
}

TEST_F(ProcessTest, AKilledDaemonLeavesExactDirtinessAndAStaleSocket) {
  auto daemon = RunOnSocket();
  daemon->ReadLine();
  auto channel = Connect("unix:" + folder_.File("s"));
  const v1::Cache cache = Create(channel);
  v1::InsertMappingsRequest request;
  request.set_cache("c1");
  for (uint32_t i = 0; i < 2; ++i) {
    request.add_cblocks(i);
    request.add_oblocks(i);
    request.add_dirty(i == 1);
  }
  request.mutable_options()->set_request_id("r");
  request.mutable_options()->set_incarnation(cache.incarnation());
  Context context;
  v1::InsertMappingsResponse response;
  ASSERT_THAT(v1::MetadataService::NewStub(channel)->InsertMappings(&context, request, &response), Succeeds());
  daemon->Signal(SIGKILL);
  EXPECT_EQ(daemon->Wait(), -1);

  daemon = RunOnSocket();
  EXPECT_THAT(daemon->ReadLine(), testing::StartsWith("dmcached "));
  channel = Connect("unix:" + folder_.File("s"));
  v1::OpenCacheRequest open;
  open.set_name("c1");
  open.set_metadata_path(folder_.File("metadata"));
  Context second;
  v1::OpenCacheResponse opened;
  ASSERT_THAT(v1::CacheService::NewStub(channel)->OpenCache(&second, open, &opened), Succeeds());
  EXPECT_FALSE(opened.adopted());
  EXPECT_EQ(opened.cache().mapped_blocks(), 2u);
  EXPECT_EQ(opened.cache().dirty_blocks(), 1u);
}

TEST_F(ProcessTest, ASecondDaemonOnTheSameSocketSaysSoAndExits) {
  const auto first = RunOnSocket();
  first->ReadLine();
  const auto second = RunOnSocket();
  EXPECT_EQ(second->ReadLine(), "");
  EXPECT_EQ(second->Wait(), 1);
  EXPECT_THAT(second->Stderr(), HasSubstr("dmcached: another dmcached already serves on unix:" + folder_.File("s")));
  Context context;
  v1::GetServerInfoResponse info;
  EXPECT_THAT(v1::CacheService::NewStub(Connect("unix:" + folder_.File("s")))->GetServerInfo(&context, {}, &info),
              Succeeds());
}

TEST_F(ProcessTest, APortThatIsTakenIsAStartError) {
  const auto first = Run({"--listen", "127.0.0.1:0", "--insecure-loopback"});
  const std::string line = first->ReadLine();
  const std::string address = line.substr(line.rfind(' ') + 1);
  const auto second = Run({"--listen", address, "--insecure-loopback"});
  EXPECT_EQ(second->ReadLine(), "");
  EXPECT_EQ(second->Wait(), 1);
  EXPECT_THAT(second->Stderr(), HasSubstr("dmcached: cannot listen on " + address));
}

TEST_F(ProcessTest, ServesAgainAfterConnectionsHadUsedUpAllItsFiles) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "UndefinedBehaviorSanitizer opens a pipe to look at an object, and calls it invalid if it cannot";
#endif
  const auto daemon = RunOnSocket();
  daemon->ReadLine();
  rlimit files;
  ASSERT_EQ(prlimit(daemon->pid(), RLIMIT_NOFILE, nullptr, &files), 0);
  EXPECT_EQ(files.rlim_cur, files.rlim_max) << "it takes what it may have";
  files.rlim_cur = 64;
  ASSERT_EQ(prlimit(daemon->pid(), RLIMIT_NOFILE, &files, nullptr), 0);
  std::vector<int> silent;
  for (int i = 0; i < 100; ++i) silent.push_back(ConnectSilently());
  while (daemon->Stderr().find("Too many open files") == std::string::npos) std::this_thread::yield();
  for (const int fd : silent) close(fd);
  Context context;
  v1::GetServerInfoResponse info;
  EXPECT_THAT(v1::CacheService::NewStub(Connect("unix:" + folder_.File("s")))->GetServerInfo(&context, {}, &info),
              Succeeds());
}

TEST_F(ProcessTest, WrongFlagsAndFilesAreUsageErrors) {
  std::ofstream(folder_.File("bad.json")) << "{\n \"lisen\": []\n}";
  const auto bad_key = Run({"--config", folder_.File("bad.json")});
  EXPECT_EQ(bad_key->Wait(), 2);
  EXPECT_EQ(bad_key->Stderr(), "dmcached: " + folder_.File("bad.json") + ": unknown key lisen\n");
  const auto no_tls = Run({"--listen", "127.0.0.1:0"});
  EXPECT_EQ(no_tls->Wait(), 2);
  EXPECT_THAT(no_tls->Stderr(), HasSubstr("--insecure-loopback"));
  const auto help = Run({"--help"});
  EXPECT_EQ(help->Wait(), 0);
}

}  // namespace
}  // namespace dmcached
