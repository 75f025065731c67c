// Logs: one line per event on stderr, `time level event key=value ...`, values quoted and escaped where needed.
#ifndef DMCACHED_SERVER_LOG_H_
#define DMCACHED_SERVER_LOG_H_

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "spdlog/logger.h"

namespace dmcached {

// A value as it stands in a log line: plain, or in double quotes with \" \\ \n \t and \xNN where it holds anything but
// printable ASCII, or UTF-8, without spaces, quotes and equal signs.  \xNN is each byte of what is no UTF-8 and of what
// a reader would not see: controls, U+2028 and U+2029, which end a line, and characters that turn the direction of
// text.
std::string LogValue(std::string_view value);

class Log {  // Thread-safe.
 public:
  using Fields = std::initializer_list<std::pair<std::string_view, std::string>>;

  // To stderr.
  Log();
  // To another place (tests).
  explicit Log(std::shared_ptr<spdlog::logger> logger);

  void Info(std::string_view event, Fields fields) const;
  void Warning(std::string_view event, Fields fields) const;
  void Error(std::string_view event, Fields fields) const;

 private:
  std::shared_ptr<spdlog::logger> logger_;
};

// Sends gRPC's own messages through a Log of the same form; only errors, unless GRPC_VERBOSITY says otherwise.
void LogGrpcMessages();

// For a field `error`.
std::string ErrorText(const absl::Status& status);

}  // namespace dmcached

#endif  // DMCACHED_SERVER_LOG_H_
