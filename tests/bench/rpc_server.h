// Servers in processes of their own, on unix sockets, set up alike: the daemon, and two that answer the same calls: one
// does nothing else, one reads a line of memory for every mapping that is inserted.
#ifndef DMCACHED_TESTS_BENCH_RPC_SERVER_H_
#define DMCACHED_TESTS_BENCH_RPC_SERVER_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "grpcpp/channel.h"

namespace dmcached::bench {

// The flag that main passes on to ServeRpcs.
inline constexpr char kServeRpcs[] = "--serve-rpcs";

class RpcServer {  // Not thread-safe.
 public:
  enum class Kind { kDaemon, kIdle, kReading };

  // Serves on a new socket at `path`.
  RpcServer(Kind kind, const std::string& path);
  // Stops it in order and waits for its end.
  ~RpcServer();
  RpcServer(const RpcServer&) = delete;
  RpcServer& operator=(const RpcServer&) = delete;

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  // Seconds of processor time that its process has used.
  double Cpu() const;

 private:
  pid_t process_ = -1;
  int stop_ = -1;  // The server ends when this pipe is closed.
  std::shared_ptr<grpc::Channel> channel_;
};

// The process of such a server: `kind` is a word that RpcServer passes, standard input ends when it shall stop.
int ServeRpcs(const std::string& kind, const std::string& path);

}  // namespace dmcached::bench

#endif  // DMCACHED_TESTS_BENCH_RPC_SERVER_H_
