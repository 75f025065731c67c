// A program that the driver starts, reads from and ends.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_PROCESS_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace dmcached {

class Process {  // Not thread-safe.
 public:
  // Starts `arguments[0]`, looked up on PATH, with an empty standard input; standard error goes to a file.  It is
  // killed when the driver dies.
  Process(const std::vector<std::string>& arguments, const std::string& stderr_path);
  ~Process();  // Kills it if it still runs.
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The next line of its standard output, without the end of line.  Nothing at the end of the output or at the
  // deadline.
  std::optional<std::string> ReadLine(std::chrono::steady_clock::time_point deadline);
  // Sends a signal and waits for the end.  The exit code; -1 if a signal ended it.
  int End(int signal);
  // Waits for the end.
  int Wait();

 private:
  pid_t pid_ = -1;
  int output_ = -1;
  std::string buffer_;  // Read and not yet given out.
};

std::string FileText(const std::string& path);
// The end of a log that may be long.
std::string LastWords(const std::string& text);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_PROCESS_H_
