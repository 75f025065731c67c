// Who may do what: roles by caller and by cache, paths, and what is counted.
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "core/base/mutex.h"
#include "dmcached/v1/maintenance_service.grpc.pb.h"
#include "google/protobuf/descriptor.h"
#include "grpcpp/generic/generic_stub.h"
#include "spdlog/logger.h"
#include "spdlog/sinks/ostream_sink.h"
#include "spdlog/sinks/sink.h"
#include "tests/e2e/scrape.h"
#include "tests/e2e/switched_device.h"
#include "tests/e2e/tls_daemon.h"
#include "tests/support/rpcs.h"

namespace dmcached {
namespace {

using google::protobuf::MethodDescriptor;
using testing::HasSubstr;

// Any rpc with an empty request; of a stream, all of it.
grpc::Status CallEmpty(const std::shared_ptr<grpc::Channel>& channel, const MethodDescriptor& method) {
  grpc::GenericStub stub(channel);
  Context context;
  const grpc::Slice nothing;
  grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  std::promise<grpc::Status> done;
  stub.UnaryCall(&context, "/" + method.service()->full_name() + "/" + method.name(), grpc::StubOptions(), &request,
                 &response, [&done](grpc::Status status) { done.set_value(std::move(status)); });
  return done.get_future().get();
}

v1::OpenCacheRequest OpenRequest(const std::string& name, const std::string& path = "") {
  v1::OpenCacheRequest request;
  request.set_name(name);
  request.set_metadata_path(path);
  return request;
}

// A log whose lines wait, and with them whoever writes them, while they are held.
class HeldLog : public spdlog::sinks::sink {  // Thread-safe.
 public:
  void Hold() {
    MutexLock lock(mutex_);
    held_ = true;
  }
  void Release() {
    MutexLock lock(mutex_);
    held_ = false;
    changed_.NotifyAll();
  }
  // Until a line waits.
  void AwaitHeld() {
    MutexLock lock(mutex_);
    while (!waiting_) changed_.Wait(mutex_);
  }
  std::string text() {
    MutexLock lock(mutex_);
    return text_;
  }

  void log(const spdlog::details::log_msg& line) override {
    MutexLock lock(mutex_);
    text_.append(line.payload.data(), line.payload.size()) += '\n';
    waiting_ = held_;
    changed_.NotifyAll();
    while (held_) changed_.Wait(mutex_);
  }
  void flush() override {}
  void set_pattern(const std::string& /*pattern*/) override {}
  void set_formatter(std::unique_ptr<spdlog::formatter> /*formatter*/) override {}

 private:
  Mutex mutex_;
  CondVar changed_;
  bool held_ ABSL_GUARDED_BY(mutex_) = false;
  bool waiting_ ABSL_GUARDED_BY(mutex_) = false;
  std::string text_ ABSL_GUARDED_BY(mutex_);
};

class AuthorizationTest : public TlsDaemonTest {
 protected:
  // An insert of `cblock`, as the batch of a stream.
  v1::MutateRequest Batch(uint64_t batch, uint32_t cblock) {
    v1::MutateRequest message;
    if (batch == 1) message.set_cache(kCache);
    message.set_batch(batch);
    *message.mutable_insert_mappings() = InsertRequest({{cblock, cblock}});
    message.mutable_insert_mappings()->clear_cache();
    return message;
  }
  grpc::Status OpenAs(const std::string& uri, const v1::OpenCacheRequest& request) {
    Context context;
    v1::OpenCacheResponse response;
    return v1::CacheService::NewStub(DialAs(uri))->OpenCache(&context, request, &response);
  }
  grpc::Status InsertAs(const std::string& uri, const Pairs& pairs) {
    const v1::InsertMappingsRequest request = InsertRequest(pairs);
    Context context;
    v1::InsertMappingsResponse response;
    return v1::MetadataService::NewStub(DialAs(uri))->InsertMappings(&context, request, &response);
  }
  grpc::Status RemoveAs(const std::string& uri, uint32_t cblock, uint64_t oblock, bool discard_dirty) {
    v1::RemoveMappingsRequest request;
    request.set_cache(kCache);
    request.add_cblocks(cblock);
    request.add_oblocks(oblock);
    request.set_discard_dirty(discard_dirty);
    *request.mutable_options() = Options();
    Context context;
    v1::RemoveMappingsResponse response;
    return v1::MetadataService::NewStub(DialAs(uri))->RemoveMappings(&context, request, &response);
  }
};

TEST_F(AuthorizationTest, NoRpcServesACallerWithoutARole) {
  Start();
  const std::shared_ptr<grpc::Channel> stranger = DialAs("spiffe://fleet/stranger");
  for (const MethodDescriptor* method : Rpcs()) {
    EXPECT_THAT(CallEmpty(stranger, *method), FailsWith(Reason::kRoleTooLow)) << method->full_name();
  }
  EXPECT_GE(Rpcs().size(), 29u);
  const Series series = Scrape(app().metrics_address());
  EXPECT_EQ(series.At("dmcached_authorization_denied_total{role=\"reader\",grpc_method=\"ListMappings\"}"), 1);
  EXPECT_EQ(series.At("dmcached_authorization_denied_total{role=\"operator\",grpc_method=\"Mutate\"}"), 1);
}

TEST_F(AuthorizationTest, HealthAsksForNoRole) {
  Start();
  Context context;
  grpc::health::v1::HealthCheckResponse response;
  EXPECT_THAT(grpc::health::v1::Health::NewStub(DialAs("spiffe://fleet/stranger"))->Check(&context, {}, &response),
              Succeeds());
}

TEST_F(AuthorizationTest, EachRoleMayWhatItMayAndNoMore) {
  Start();
  CreateStandard();
  EXPECT_THAT(GetServerInfo(DialAs(kReader)), Succeeds());
  EXPECT_THAT(InsertAs(kReader, {{1, 10}}), FailsWith(Reason::kRoleTooLow));
  EXPECT_THAT(InsertAs(kOperator, {{1, 10}}), Succeeds());
  EXPECT_THAT(RemoveAs(kOperator, 1, 10, /*discard_dirty=*/true), FailsWith(Reason::kRoleTooLow));
  EXPECT_EQ(List(), (Pairs{{1, 10}}));
  EXPECT_THAT(RemoveAs(kOperator, 1, 10, /*discard_dirty=*/false), Succeeds());
  EXPECT_THAT(InsertAs(kAdmin, {{1, 10}}), Succeeds());
  EXPECT_THAT(RemoveAs(kAdmin, 1, 10, /*discard_dirty=*/true), Succeeds());
}

TEST_F(AuthorizationTest, TheErrorSaysWhoAndWhatIsNeeded) {
  Start();
  CreateStandard();
  const grpc::Status status = InsertAs(kReader, {{1, 10}});
  EXPECT_EQ(status.error_message(),
            "spiffe://fleet/reader has the role reader for cache \"c1\"; InsertMappings as asked needs operator");
  EXPECT_EQ(ErrorInfoOf(status).reason(), "ROLE_TOO_LOW");
}

TEST_F(AuthorizationTest, ABatchOfAStreamIsJudgedByItself) {
  Start();
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}, {2, 20}}), Succeeds());
  Context context;
  const auto stream = v1::MetadataService::NewStub(DialAs(kOperator))->Mutate(&context);
  v1::MutateRequest message;
  message.set_cache(kCache);
  message.set_batch(1);
  message.mutable_remove_mappings()->add_cblocks(1);
  message.mutable_remove_mappings()->add_oblocks(10);
  *message.mutable_remove_mappings()->mutable_options() = Options();
  ASSERT_TRUE(stream->Write(message));
  v1::MutateResponse answer;
  ASSERT_TRUE(stream->Read(&answer));
  message.clear_cache();
  message.set_batch(2);
  message.mutable_remove_mappings()->set_cblocks(0, 2);
  message.mutable_remove_mappings()->set_oblocks(0, 20);
  message.mutable_remove_mappings()->set_discard_dirty(true);
  *message.mutable_remove_mappings()->mutable_options() = Options();
  ASSERT_TRUE(stream->Write(message));
  while (stream->Read(&answer)) {
  }
  EXPECT_THAT(stream->Finish(), FailsWith(Reason::kRoleTooLow));
  EXPECT_EQ(List(), (Pairs{{2, 20}}));
}

TEST_F(AuthorizationTest, ARoleMayBeForSomeCachesOnly) {
  config_.roles = {
      {kOperator, Role::kReader}, {kOperator, Role::kOperator, {"c1", "mine-*"}}, {kReader, Role::kReader, {"c2"}}};
  Start();
  CreateStandard();
  NewMetadata("other");
  Create(CreateRequest("c2", "other"));
  EXPECT_THAT(InsertAs(kOperator, {{1, 10}}), Succeeds());
  Context context;
  v1::CommitRequest commit;
  commit.set_cache("c2");
  v1::CommitResponse committed;
  EXPECT_THAT(v1::MetadataService::NewStub(DialAs(kOperator))->Commit(&context, commit, &committed),
              FailsWith(Reason::kRoleTooLow));
  // A list shows what the caller may see.
  Context list_context;
  v1::ListCachesResponse caches;
  ASSERT_THAT(v1::CacheService::NewStub(DialAs(kReader))->ListCaches(&list_context, {}, &caches), Succeeds());
  ASSERT_EQ(caches.caches_size(), 1);
  EXPECT_EQ(caches.caches(0).name(), "c2");
}

TEST_F(AuthorizationTest, AUnixCallerHasTheRoleOfTheSocket) {
  config_.unix_role = Role::kOperator;
  Start();
  NewMetadata();
  const v1::CreateCacheRequest request = CreateRequest();
  Context context;
  v1::CreateCacheResponse response;
  const grpc::Status status = caches().CreateCache(&context, request, &response);
  EXPECT_THAT(status, FailsWith(Reason::kRoleTooLow));
  EXPECT_THAT(status.error_message(), HasSubstr("unix has the role operator"));
  EXPECT_THAT(Probe(DialAs(kAdmin), folder_.File("metadata")), FailsWith(Reason::kPathNotAllowed));
  Context probe_context;
  v1::ProbeCacheRequest probe;
  probe.set_metadata_path(folder_.File("metadata"));
  v1::ProbeCacheResponse probed;
  EXPECT_THAT(caches().ProbeCache(&probe_context, probe, &probed), Succeeds());
}

TEST_F(AuthorizationTest, WithoutAllowedPathsACallerMayNameWhatTheConfigurationNames) {
  Start();
  CreateStandard();
  Stop();
  CacheConfig& cache = config_.caches.emplace_back();
  cache.name = kCache;
  cache.metadata = folder_.File("metadata");
  config_.roles.push_back({"spiffe://fleet/other", Role::kAdmin, {"other"}});
  Start();
  NewMetadata("secret");
  EXPECT_THAT(Probe(DialAs(kReader), folder_.File("metadata")), Succeeds());
  EXPECT_THAT(Probe(DialAs(kReader), folder_.path() + "/./metadata"), Succeeds());
  EXPECT_THAT(Probe(DialAs(kReader), folder_.File("secret")), FailsWith(Reason::kPathNotAllowed));
  EXPECT_THAT(Probe(DialAs(kAdmin), "/dev/null"), FailsWith(Reason::kPathNotAllowed));
  // Another cache's path is not reached by way of one's own name.
  EXPECT_THAT(OpenAs("spiffe://fleet/other", OpenRequest("other", folder_.File("metadata"))),
              FailsWith(Reason::kPathNotAllowed));
  // Nor by way of a folder that is allowed.
  Stop();
  config_.allowed_paths = {folder_.path() + "/*"};
  Start();
  EXPECT_THAT(Probe(DialAs("spiffe://fleet/other"), folder_.File("metadata")), FailsWith(Reason::kPathNotAllowed));
  EXPECT_THAT(Probe(DialAs("spiffe://fleet/other"), folder_.File("secret")), Succeeds());
  EXPECT_THAT(Probe(DialAs(kReader), folder_.File("metadata")), Succeeds());
}

// Of a cache that is configured, another name in a folder that is allowed.
TEST_F(AuthorizationTest, AConfiguredDeviceIsWithheldUnderAnotherName) {
  const std::string volume = NewMetadata("volume");
  CacheConfig& cache = config_.caches.emplace_back();
  cache.name = "theirs";
  cache.metadata = folder_.File("link");
  std::filesystem::create_symlink(volume, cache.metadata);
  std::filesystem::create_directory(folder_.File("in"));
  std::filesystem::create_hard_link(volume, folder_.File("in/hard"));
  config_.allowed_paths = {folder_.File("in") + "/*"};
  config_.roles.push_back({"spiffe://fleet/other", Role::kAdmin, {"other"}});
  Start();
  NewMetadata("in/free");
  const std::shared_ptr<grpc::Channel> other = DialAs("spiffe://fleet/other");
  EXPECT_THAT(Probe(other, folder_.File("in/hard")), FailsWith(Reason::kPathNotAllowed));
  EXPECT_THAT(Probe(other, folder_.File("in/free")), Succeeds());
  EXPECT_THAT(Probe(DialAs(kReader), folder_.File("in/hard")), Succeeds());
  // Its own name leads nowhere for a moment.
  std::filesystem::remove(cache.metadata);
  EXPECT_THAT(Probe(other, folder_.File("in/hard")), FailsWith(Reason::kPathNotAllowed));
  EXPECT_THAT(Probe(other, folder_.File("in/free")), Succeeds());
}

TEST_F(AuthorizationTest, AllowedPathsHoldForEveryoneAndLinksDoNotLeadOut) {
  std::filesystem::create_directory(folder_.File("in"));
  config_.allowed_paths = {folder_.File("in") + "/*"};
  Start();
  NewMetadata("in/good");
  NewMetadata("secret");
  std::filesystem::create_symlink(folder_.File("secret"), folder_.File("in/link"));
  std::filesystem::create_symlink("/dev/zero", folder_.File("in/device"));
  EXPECT_THAT(Probe(DialAs(kReader), folder_.File("in/good")), Succeeds());
  EXPECT_THAT(Probe(DialAs(kReader), folder_.File("in/../secret")), FailsWith(Reason::kPathNotAllowed));
  EXPECT_THAT(Probe(DialAs(kReader), folder_.File("in/link")), FailsWith(Reason::kPathNotAllowed));
  EXPECT_THAT(Probe(DialAs(kReader), folder_.File("in/device")), FailsWith(Reason::kPathNotAllowed));
  EXPECT_THAT(OpenAs(kAdmin, OpenRequest("c3", folder_.File("secret"))), FailsWith(Reason::kPathNotAllowed));
  Context context;
  v1::CreateCacheRequest request = CreateRequest("c4", "in/good");
  request.set_origin_path(folder_.File("secret"));
  v1::CreateCacheResponse response;
  EXPECT_THAT(caches().CreateCache(&context, request, &response), FailsWith(Reason::kPathNotAllowed));
}

TEST_F(AuthorizationTest, OneIdentityCannotTakeAllCallsAndOthersAreServed) {
  config_.limits.calls_per_identity = 3;
  Start();
  CreateStandard();
  // Streams that wait for their caller, over connections of their own.
  std::vector<std::unique_ptr<Context>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<v1::MutateRequest, v1::MutateResponse>>> streams;
  for (uint32_t i = 0; i < 3; ++i) {
    streams.push_back(
        v1::MetadataService::NewStub(DialAs(kOperator))->Mutate(contexts.emplace_back(new Context).get()));
    ASSERT_TRUE(streams.back()->Write(Batch(1, 100 + i)));
    v1::MutateResponse answer;
    ASSERT_TRUE(streams.back()->Read(&answer));
  }
  EXPECT_THAT(InsertAs(kOperator, {{1, 10}}), FailsWith(Reason::kOverloaded));
  // Nor with streams that say nothing, nor where no role is needed.
  Context silent_context;
  EXPECT_THAT(v1::MetadataService::NewStub(DialAs(kOperator))->Mutate(&silent_context)->Finish(),
              FailsWith(Reason::kOverloaded));
  Context watch_context;
  EXPECT_EQ(grpc::health::v1::Health::NewStub(DialAs(kOperator))->Watch(&watch_context, {})->Finish().error_code(),
            grpc::StatusCode::CANCELLED);
  EXPECT_THAT(InsertAs(kAdmin, {{1, 10}}), Succeeds());
  EXPECT_THAT(Insert({{2, 20}}), Succeeds());
  // What runs already goes on.
  ASSERT_TRUE(streams[0]->Write(Batch(2, 200)));
  v1::MutateResponse answer;
  ASSERT_TRUE(streams[0]->Read(&answer));
  for (const auto& stream : streams) {
    stream->WritesDone();
    while (stream->Read(&answer)) {
    }
    EXPECT_THAT(stream->Finish(), Succeeds());
  }
  EXPECT_THAT(InsertAs(kOperator, {{3, 30}}), Succeeds());
}

TEST_F(AuthorizationTest, MutationsOfACallerWithACertificateAreInTheLogAndOthersIfAsked) {
  std::ostringstream text;
  log_.emplace(std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  Start();
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  EXPECT_THAT(text.str(), testing::Not(HasSubstr("mutation ")));
  ASSERT_THAT(InsertAs(kOperator, {{2, 20}}), Succeeds());
  EXPECT_THAT(text.str(),
              HasSubstr("mutation caller=spiffe://fleet/operator rpc=InsertMappings cache=c1 request_id=request-2 "
                        "result=ok"));
  EXPECT_FALSE(InsertAs(kOperator, {{2, 20}}).ok());
  EXPECT_THAT(text.str(), HasSubstr("request_id=request-3 result=\""));
  EXPECT_FALSE(InsertAs(kReader, {{3, 30}}).ok());
  EXPECT_THAT(text.str(), HasSubstr("denied caller=spiffe://fleet/reader rpc=InsertMappings cache=c1 "));
  Context context;
  const auto stream = v1::MetadataService::NewStub(DialAs(kOperator))->Mutate(&context);
  const v1::MutateRequest batch = Batch(1, 4);
  ASSERT_TRUE(stream->Write(batch));
  stream->WritesDone();
  v1::MutateResponse answer;
  while (stream->Read(&answer)) {
  }
  ASSERT_THAT(stream->Finish(), Succeeds());
  EXPECT_THAT(text.str(),
              HasSubstr("mutation caller=spiffe://fleet/operator rpc=Mutate/InsertMappings cache=c1 request_id=" +
                        batch.insert_mappings().options().request_id() + " result=ok"));
  Context check_context;
  v1::CheckRequest check;
  check.set_cache(kCache);
  check.set_clear_needs_check(true);
  const auto checked = v1::MaintenanceService::NewStub(DialAs(kAdmin))->Check(&check_context, check);
  v1::CheckResponse found;
  while (checked->Read(&found)) {
  }
  ASSERT_THAT(checked->Finish(), Succeeds());
  EXPECT_THAT(text.str(), HasSubstr("mutation caller=spiffe://fleet/admin rpc=Check cache=c1 "));
  Stop();
  config_.audit_unix = true;
  Start();
  OpenStandard();
  EXPECT_THAT(text.str(), HasSubstr("mutation caller=unix rpc=OpenCache cache=c1 "));
  Stop();  // Before the text is gone.
}

// Whoever follows a path also writes that it was denied: the line waits in place of a mount.
TEST_F(AuthorizationTest, PathsThatAreSlowToFollowKeepNobodyElse) {
  const auto held = std::make_shared<HeldLog>();
  log_.emplace(std::make_shared<spdlog::logger>("test", held));
  Start();
  held->Hold();
  std::vector<std::jthread> slow;
  for (int i = 0; i < 20; ++i) {  // More than gRPC has threads.
    slow.emplace_back([this, reader = DialAs(kReader)] {
      EXPECT_THAT(Probe(reader, "/dev/null"), FailsWith(Reason::kPathNotAllowed));
    });
  }
  held->AwaitHeld();
  grpc::Status served;
  for (int i = 0; i < 100 && served.ok(); ++i) served = GetServerInfo(DialAs(kOperator));
  held->Release();
  EXPECT_THAT(served, Succeeds());
}

TEST_F(AuthorizationTest, ACheckThatIsToClearIsInTheLogAlsoWhereItDoesNotBegin) {
  const auto held = std::make_shared<HeldLog>();
  log_.emplace(std::make_shared<spdlog::logger>("test", held));
  config_.allowed_paths = {folder_.path() + "/*"};
  config_.limits.calls_per_identity = 1;
  Start();
  v1::CheckRequest check;
  check.set_metadata_path(NewMetadata());
  check.set_clear_needs_check(true);
  Context denied_context;
  EXPECT_THAT(v1::MaintenanceService::NewStub(DialAs(kReader))->Check(&denied_context, check)->Finish(),
              FailsWith(Reason::kRoleTooLow));
  EXPECT_THAT(held->text(), HasSubstr("mutation caller=spiffe://fleet/reader rpc=Check cache=\"\" request_id=\"\" "
                                      "result=\"ROLE_TOO_LOW: "));
  // Behind a path that is slow to follow.
  held->Hold();
  std::jthread slow([this, reader = DialAs(kReader)] { (void)Probe(reader, "/dev/null"); });
  held->AwaitHeld();
  Context context;
  const auto stream = v1::MaintenanceService::NewStub(DialAs(kAdmin))->Check(&context, check);
  // A call counts until gRPC has dropped it.
  while (GetServerInfo(DialAs(kAdmin)).ok()) std::this_thread::yield();
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  while (!GetServerInfo(DialAs(kAdmin)).ok()) std::this_thread::yield();
  held->Release();
  slow.join();
  Stop();
  EXPECT_THAT(held->text(), HasSubstr("mutation caller=spiffe://fleet/admin rpc=Check cache=\"\" request_id=\"\" "
                                      "result=\"UNSPECIFIED: the caller had gone"));
}

// The engine answers long after gRPC has dropped the call.
TEST_F(AuthorizationTest, ABatchWhoseCallerIsGoneBeforeItsAnswerIsInTheLog) {
  std::ostringstream text;
  log_.emplace(std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(text)));
  const auto device_switch = std::make_shared<DeviceSwitch>();
  opener_ = OpenSwitched(device_switch);
  config_.limits.calls_per_identity = 1;
  Start();
  CreateStandard();
  ASSERT_THAT(Insert({{1, 10}}), Succeeds());
  device_switch->Hold();
  Context context;
  const auto stream = v1::MetadataService::NewStub(DialAs(kOperator))->Mutate(&context);
  // Refused, because the cblock is taken: said once that is durable.
  v1::MutateRequest batch = Batch(1, 1);
  batch.mutable_insert_mappings()->set_dirty(0, true);
  ASSERT_TRUE(stream->Write(batch));
  device_switch->AwaitHeld();
  context.TryCancel();
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
  // A call counts until gRPC has dropped it.
  while (!GetServerInfo(DialAs(kOperator)).ok()) std::this_thread::yield();
  EXPECT_THAT(text.str(), testing::Not(HasSubstr("rpc=Mutate/")));
  device_switch->Release();
  Stop();
  EXPECT_THAT(text.str(), HasSubstr("rpc=Mutate/InsertMappings cache=c1 request_id=" +
                                    batch.insert_mappings().options().request_id() + " result=\""));
}

TEST_F(AuthorizationTest, TheSocketHasTheModeAndGroupOfTheConfiguration) {
  config_.socket_mode = 0600;
  config_.socket_group = std::to_string(getgid());
  Start();
  struct stat found;
  ASSERT_EQ(stat(folder_.File("s").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
  EXPECT_EQ(found.st_gid, getgid());
  Stop();
  config_.socket_group = "no-such-group";
  EXPECT_THAT(std::string(App::Start(config_, Log()).status().message()), HasSubstr("no group \"no-such-group\""));
}

}  // namespace
}  // namespace dmcached
