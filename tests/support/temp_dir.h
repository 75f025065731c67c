// A folder of a test's own, removed with everything in it.
#ifndef DMCACHED_TESTS_SUPPORT_TEMP_DIR_H_
#define DMCACHED_TESTS_SUPPORT_TEMP_DIR_H_

#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <system_error>

#include "core/base/check.h"

namespace dmcached {

class TempDir {
 public:
  // The path is short: unix sockets allow 107 characters.
  TempDir() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base != nullptr ? base : "/tmp") + "/dmc-XXXXXX";
    DMCACHED_CHECK(::mkdtemp(path_.data()) != nullptr);
  }
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string File(const std::string& name) const { return path_ + "/" + name; }

  // A sparse file of zeros; returns its path.
  std::string CreateFile(const std::string& name, uint64_t size_bytes) const {
    const std::string path = CreateFile(name, std::span<const std::byte>());
    std::filesystem::resize_file(path, size_bytes);
    return path;
  }
  std::string CreateFile(const std::string& name, std::span<const std::byte> contents) const {
    std::ofstream file(File(name), std::ios::binary | std::ios::trunc);
    file.write(reinterpret_cast<const char*>(contents.data()), static_cast<std::streamsize>(contents.size()));
    file.close();
    DMCACHED_CHECK(file.good());
    return File(name);
  }

 private:
  std::string path_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_TEMP_DIR_H_
