// The real daemon and a client of it.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_DAEMON_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_DAEMON_H_

#include <memory>
#include <string>

#include "dmcached/client.h"
#include "tests/interop/kernel/process.h"

namespace dmcached {

class Daemon {  // Not thread-safe.
 public:
  // Starts it on a socket in `folder` and waits until it serves.  Dies if it does not.
  explicit Daemon(const std::string& folder);

  client::Client& client() { return *client_; }
  // kill -9: nothing is committed or closed.
  void Crash();
  // SIGTERM: every cache is closed clean.  The exit code.
  int Stop();

 private:
  Process process_;
  std::unique_ptr<client::Client> client_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_DAEMON_H_
