// The process: flags, signals, exit code.
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <iostream>
#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/app.h"
#include "server/command_line.h"
#include "server/log.h"

namespace {

// Blocked in every thread, because threads inherit the mask: the main thread takes them with sigwait, so no handler
// runs.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  // A peer that goes away is an error of a write.
  std::signal(SIGPIPE, SIG_IGN);
  return signals;
}

// Each connection is an open file; what this process may have is more than what it begins with.
void RaiseOpenFiles() {
  rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
}

// Debian builds Abseil with this on: each lock that gRPC takes goes through a graph that all threads share.
void StopLookingForDeadlocks() { absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore); }

int Run(const dmcached::Config& config) {
  const sigset_t signals = BlockStopSignals();
  StopLookingForDeadlocks();
  // Nothing for others, and no moment in which the socket lets in more than its mode does.  Execution stays: the
  // socket's folder may be made now.
  umask(0007 | (~config.socket_mode & 0666));
  RaiseOpenFiles();
  dmcached::LogGrpcMessages();
  const dmcached::Log log;
  absl::StatusOr<std::unique_ptr<dmcached::App>> app = dmcached::App::Start(config, log);
  if (!app.ok()) {
    std::cerr << "dmcached: " << app.status().message() << std::endl;
    return dmcached::kExitFailure;
  }
  std::cout << (*app)->Banner() << std::endl;
  int signal = 0;
  sigwait(&signals, &signal);
  log.Info("stopping", {{"signal", signal == SIGTERM ? "SIGTERM" : "SIGINT"}});
  const absl::Status stopped = (*app)->Shutdown();
  if (stopped.ok()) return dmcached::kExitOk;
  std::cerr << "dmcached: a cache could not be closed clean: " << stopped.message() << std::endl;
  return dmcached::kExitFailure;
}

}  // namespace

int main(int argc, char** argv) {
  const dmcached::CommandLineResult command = dmcached::ParseCommandLine(argc, argv, std::cout, std::cerr);
  return command.exit_code.has_value() ? *command.exit_code : Run(command.config);
}
