#include "tests/interop/kernel/process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iterator>

#include "core/base/check.h"

namespace dmcached {

Process::Process(const std::vector<std::string>& arguments, const std::string& stderr_path) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  int pipe_ends[2];
  DMCACHED_CHECK(pipe2(pipe_ends, O_CLOEXEC) == 0);
  const int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int errors = open(stderr_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  DMCACHED_CHECK(input >= 0 && errors >= 0);
  pid_ = fork();
  DMCACHED_CHECK(pid_ >= 0);
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(input, STDIN_FILENO);
    dup2(pipe_ends[1], STDOUT_FILENO);
    dup2(errors, STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(127);
  }
  close(pipe_ends[1]);
  close(input);
  close(errors);
  output_ = pipe_ends[0];
}

Process::~Process() {
  if (pid_ > 0) End(SIGKILL);
  close(output_);
}

std::optional<std::string> Process::ReadLine(std::chrono::steady_clock::time_point deadline) {
  while (true) {
    const size_t end = buffer_.find('\n');
    if (end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd readable = {.fd = output_, .events = POLLIN, .revents = 0};
    if (poll(&readable, 1, static_cast<int>(std::max<int64_t>(left.count(), 0))) <= 0) return std::nullopt;
    char bytes[4096];
    const ssize_t count = read(output_, bytes, sizeof(bytes));
    if (count <= 0) return std::nullopt;
    buffer_.append(bytes, static_cast<size_t>(count));
  }
}

int Process::End(int signal) {
  kill(pid_, signal);
  return Wait();
}

int Process::Wait() {
  int status = 0;
  waitpid(pid_, &status, 0);
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

std::string FileText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string LastWords(const std::string& text) {
  constexpr size_t kAtMost = 3000;
  return text.size() <= kAtMost ? text : text.substr(text.size() - kAtMost);
}

}  // namespace dmcached
