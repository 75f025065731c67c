#include "tests/support/reference_tools.h"

#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "core/base/check.h"
#include "core/base/ids.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

// The tools are in /usr/sbin, which is not on every user's path.
ToolResult Run(const std::string& command) {
  std::FILE* pipe = ::popen(("PATH=$PATH:/usr/sbin:/sbin; " + command + " 2>&1").c_str(), "r");
  DMCACHED_CHECK(pipe != nullptr);
  ToolResult result;
  char chunk[1 << 14];
  while (const size_t count = std::fread(chunk, 1, sizeof(chunk), pipe)) result.output.append(chunk, count);
  const int status = ::pclose(pipe);
  result.exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

std::string ReadFile(const std::string& path) {
  std::string bytes(std::filesystem::file_size(path), '\0');
  std::ifstream stream(path, std::ios::binary);
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  DMCACHED_CHECK(stream.good());
  return bytes;
}

}  // namespace

ToolResult RunCacheCheck(std::span<const std::byte> image) {
  const TempDir dir;
  return Run("cache_check " + dir.CreateFile("meta", image));
}

XmlDump RunCacheDump(std::span<const std::byte> image) {
  const TempDir dir;
  const ToolResult result = Run("cache_dump -o " + dir.File("xml") + " " + dir.CreateFile("meta", image));
  if (result.exit_status != 0) std::fprintf(stderr, "cache_dump: %s\n", result.output.c_str());
  DMCACHED_CHECK(result.exit_status == 0);
  return ParseXmlDump(ReadFile(dir.File("xml")));
}

std::vector<std::byte> RunCacheRestore(const XmlDump& dump, uint32_t version, uint64_t blocks) {
  const TempDir dir;
  const std::string text = PrintXmlDump(dump);
  const std::string xml = dir.CreateFile("xml", std::as_bytes(std::span(text)));
  const std::string meta = dir.CreateFile("meta", blocks * kMetadataBlockBytes);
  const ToolResult result =
      Run("cache_restore --metadata-version " + std::to_string(version) + " -i " + xml + " -o " + meta);
  if (result.exit_status != 0) std::fprintf(stderr, "cache_restore: %s\n", result.output.c_str());
  DMCACHED_CHECK(result.exit_status == 0);
  const std::string bytes = ReadFile(meta);
  const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
  return {data, data + bytes.size()};
}

XmlDump ReferenceDumpOf(const CacheContents& contents) {
  XmlDump dump = DumpOf(contents);
  dump.discards.clear();
  if (contents.version == 2) {
    for (auto& [cblock, to] : dump.mappings) to.dirty = false;
  }
  return dump;
}

}  // namespace dmcached
