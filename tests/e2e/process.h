// One started executable of the daemon.  Its stderr goes to a file.
#ifndef DMCACHED_TESTS_E2E_PROCESS_H_
#define DMCACHED_TESTS_E2E_PROCESS_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

namespace dmcached {

class Process {
 public:
  Process(const std::vector<std::string>& arguments, std::string stderr_path) : stderr_path_(std::move(stderr_path)) {
    std::vector<char*> argv = {const_cast<char*>(DMCACHED_EXECUTABLE)};
    for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    int out[2];
    EXPECT_EQ(pipe2(out, O_CLOEXEC), 0);
    pid_ = fork();
    if (pid_ == 0) {
      dup2(out[1], STDOUT_FILENO);
      dup2(open(stderr_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), STDERR_FILENO);
      execv(argv[0], argv.data());
      _exit(127);
    }
    close(out[1]);
    stdout_ = fdopen(out[0], "r");
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      Wait();
    }
    fclose(stdout_);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  // The next line of stdout, without its end; empty at the end.
  std::string ReadLine() {
    std::string line;
    for (int c = 0; (c = fgetc(stdout_)) != EOF && c != '\n';) line += static_cast<char>(c);
    return line;
  }
  pid_t pid() const { return pid_; }
  void Signal(int signal) const { kill(pid_, signal); }
  // The exit code; -1: killed by a signal.
  int Wait() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }
  std::string Stderr() const {
    std::ifstream file(stderr_path_);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

 private:
  const std::string stderr_path_;
  pid_t pid_ = -1;
  FILE* stdout_ = nullptr;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_E2E_PROCESS_H_
