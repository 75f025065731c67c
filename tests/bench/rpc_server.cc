#include "tests/bench/rpc_server.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <ctime>
#include <filesystem>

#include "absl/synchronization/mutex.h"
#include "core/cache/origin_index.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"
#include "grpcpp/security/server_credentials.h"
#include "grpcpp/server.h"
#include "grpcpp/server_builder.h"
#include "server/app.h"
#include "server/cache_convert.h"
#include "spdlog/sinks/null_sink.h"
#include "tests/bench/idle_service.h"
#include "tests/bench/run.h"

namespace dmcached::bench {
namespace {

constexpr char kDaemonWord[] = "daemon";
constexpr char kIdleWord[] = "idle";
constexpr char kReadingWord[] = "reading";

constexpr auto kReadBytes = static_cast<size_t>(1000000 * OriginIndex::kBytesPerCacheBlock);

std::string Address(const std::string& path) { return "unix:" + path; }

void WaitForStop() {
  std::array<char, 16> ignored;
  while (read(STDIN_FILENO, ignored.data(), ignored.size()) > 0) continue;
}

int ServeDaemon(const std::string& path) {
  Config config;
  config.listen = {Address(path)};
  const Log quiet(std::make_shared<spdlog::logger>("bench", std::make_shared<spdlog::sinks::null_sink_mt>()));
  const absl::StatusOr<std::unique_ptr<App>> app = App::Start(config, quiet);
  if (!app.ok()) GiveUp("start the daemon: " + app.status().ToString());
  WaitForStop();
  return (*app)->Shutdown().ok() ? 0 : 1;
}

int ServeIdle(const std::string& path, size_t read_bytes) {
  IdleService service(read_bytes);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.AddListeningPort(Address(path), grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) GiveUp("start the idle server");
  WaitForStop();
  server->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  return 0;
}

const char* Word(RpcServer::Kind kind) {
  switch (kind) {
    case RpcServer::Kind::kDaemon:
      return kDaemonWord;
    case RpcServer::Kind::kIdle:
      return kIdleWord;
    case RpcServer::Kind::kReading:
      return kReadingWord;
  }
  GiveUp("no such kind of server");
}

}  // namespace

RpcServer::RpcServer(Kind kind, const std::string& path) {
  std::array<int, 2> pipe = {};
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) GiveUp("no pipe can be made");
  const std::string self = std::filesystem::read_symlink("/proc/self/exe").string();
  const char* word = Word(kind);
  process_ = fork();
  if (process_ == 0) {
    dup2(pipe[0], STDIN_FILENO);
    execl(self.c_str(), self.c_str(), kServeRpcs, word, path.c_str(), nullptr);
    _exit(127);
  }
  close(pipe[0]);
  stop_ = pipe[1];
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  channel_ = grpc::CreateCustomChannel(Address(path), grpc::InsecureChannelCredentials(), arguments);
  const auto patience = std::chrono::system_clock::now() + std::chrono::seconds(30);
  if (process_ < 0 || !channel_->WaitForConnected(patience)) GiveUp("the server at " + path + " does not answer");
}

RpcServer::~RpcServer() {
  channel_ = nullptr;
  close(stop_);
  int status = 0;
  if (waitpid(process_, &status, 0) != process_ || status != 0) GiveUp("a server did not stop in order");
}

double RpcServer::Cpu() const {
  clockid_t clock = 0;
  timespec used = {};
  if (clock_getcpuclockid(process_, &clock) != 0 || clock_gettime(clock, &used) != 0) GiveUp("no clock of a process");
  return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

int ServeRpcs(const std::string& kind, const std::string& path) {
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);  // As the daemon's main does.
  return kind == kDaemonWord ? ServeDaemon(path) : ServeIdle(path, kind == kReadingWord ? kReadBytes : 0);
}

}  // namespace dmcached::bench
