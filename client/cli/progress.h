// How far long work has come, on the error stream: a bar that redraws itself on a terminal, now and then a line in a
// pipe, so that logs stay short and short work says nothing.
#ifndef DMCACHED_CLIENT_CLI_PROGRESS_H_
#define DMCACHED_CLIENT_CLI_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>

namespace dmcached::cli {

class Progress {
 public:
  enum class Style { kNone, kBar, kLines };
  using Now = std::function<std::chrono::steady_clock::time_point()>;

  // `what` is said behind the count: "mappings of fast0".
  Progress(std::ostream& err, Style style, std::string what, Now now = std::chrono::steady_clock::now);
  // Takes the bar away.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `fraction` is between 0 and 1, or nothing where the end is not known.
  void Update(uint64_t done, std::optional<double> fraction);
  // Takes the bar away until the next update.
  void Clear();

 private:
  void DrawBar(uint64_t done, std::optional<double> fraction);

  std::ostream& err_;
  const Style style_;
  const std::string what_;
  const Now now_;
  std::chrono::steady_clock::time_point next_line_;
  size_t drawn_ = 0;  // Characters of the bar on the terminal.
};

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_PROGRESS_H_
