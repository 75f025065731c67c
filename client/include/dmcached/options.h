// How a client connects and how one call behaves.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_OPTIONS_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_OPTIONS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace dmcached::client {

inline constexpr std::chrono::milliseconds kNoDeadline{0};

// PEM files.  All three are needed; with none of them there is no TLS.  They are looked at every few seconds: the next
// connection is made with what they hold then, so certificates can be renewed under a running client.
struct TlsOptions {
  std::string ca;           // Who signed the daemon's certificate.
  std::string certificate;  // Our own; its name decides what the daemon lets us do.
  std::string key;
  std::string server_name;  // In the daemon's certificate; empty: the host of the address.
};

struct ClientOptions {
  std::string address = "unix:/run/dmcached/dmcached.sock";  // unix:PATH or HOST:PORT.
  TlsOptions tls = {};                                       // For HOST:PORT; a unix socket has none.
  // How long an attempt may wait for a connection before it is UNAVAILABLE; nothing has been sent then.
  std::chrono::milliseconds connect_timeout{2000};
  // Deadline of one attempt of a unary call; Create, Open, Close, Delete, Resize and streams have none.
  std::chrono::milliseconds timeout{30000};
  // A request that got no answer is repeated, the same bytes, for this long in all; 0: never.
  std::chrono::milliseconds repeat_for{120000};
  // First pause before a repeat; it doubles up to 2 s.
  std::chrono::milliseconds first_pause{50};
  // OVERLOADED (nothing happened) is tried again this often before it is reported.
  int overloaded_retries = 3;
};

struct CallOptions {
  std::optional<std::chrono::milliseconds> timeout = {};     // kNoDeadline: none.  Absent: the rule of ClientOptions.
  std::optional<std::chrono::milliseconds> repeat_for = {};  // Absent: ClientOptions.
};

// For mutations.  What is absent the client fills in: a random request id, and the incarnation that it last saw of the
// cache (any answer about the cache counts; GetCache is asked when there was none).
struct MutationOptions : CallOptions {
  std::string request_id = {};               // At most 128 bytes.
  std::optional<uint64_t> incarnation = {};  // The incarnation that the caller's decision was based on.
  std::optional<uint64_t> expected_revision = {};
  bool durable = false;  // Answer only when durable.
};

struct MutateStreamOptions {
  size_t max_in_flight = 16;  // Batches sent and not yet applied; Send blocks beyond.
  bool stop_on_error = true;  // Else failed batches are collected and the stream goes on.
  std::optional<uint64_t> incarnation = {};
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_OPTIONS_H_
