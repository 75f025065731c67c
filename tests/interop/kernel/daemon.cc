#include "tests/interop/kernel/daemon.h"

#include <chrono>
#include <csignal>

#include "core/base/check.h"

namespace dmcached {

Daemon::Daemon(const std::string& folder)
    : process_({DMCACHED_EXECUTABLE, "--listen", "unix:" + folder + "/socket"}, folder + "/daemon-log") {
  // It prints one line when it serves.
  DMCACHED_CHECK(process_.ReadLine(std::chrono::steady_clock::now() + std::chrono::minutes(1)).has_value());
  client::ClientOptions options;
  options.address = "unix:" + folder + "/socket";
  options.repeat_for = std::chrono::milliseconds(0);  // A daemon that dies is not started again behind our back.
  client_ = std::make_unique<client::Client>(options);
}

void Daemon::Crash() { process_.End(SIGKILL); }

int Daemon::Stop() { return process_.End(SIGTERM); }

}  // namespace dmcached
