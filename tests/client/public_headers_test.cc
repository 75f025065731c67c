// What client/ may include: the public headers only the standard library, Abseil and each other; nothing core/ or
// server/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "dmcached/client.h"
#include "dmcached/mutate_stream.h"
#include "dmcached/options.h"
#include "dmcached/ranges.h"
#include "dmcached/status.h"
#include "dmcached/types.h"

// Had one of the headers above brought in gRPC or protobuf, these would be defined.
#if defined(GRPC_IMPL_CODEGEN_PORT_PLATFORM_H) || defined(GRPCPP_GRPCPP_H) || defined(GOOGLE_PROTOBUF_VERSION)
#error "a public header of the client library includes gRPC or protobuf"
#endif

namespace dmcached::client {
namespace {

std::vector<std::string> IncludesOf(const std::filesystem::path& file) {
  std::vector<std::string> includes;
  std::ifstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    if (line.rfind("#include ", 0) == 0) includes.push_back(line.substr(9));
  }
  return includes;
}

std::vector<std::filesystem::path> SourcesBelow(const std::string& folder) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::string(DMCACHED_CLIENT_DIR) + folder)) {
    const std::string extension = entry.path().extension();
    if (extension == ".h" || extension == ".cc") files.push_back(entry.path());
  }
  return files;
}

TEST(PublicHeadersTest, ShowNoGrpcProtobufOrCore) {
  const std::vector<std::filesystem::path> headers = SourcesBelow("/include");
  std::set<std::string> own;
  for (const auto& header : headers) own.insert("\"dmcached/" + header.filename().string() + "\"");
  ASSERT_GE(headers.size(), 5u);
  for (const auto& header : headers) {
    for (const std::string& include : IncludesOf(header)) {
      const bool standard = include.front() == '<' && include.find_first_of("/.") == std::string::npos;
      const bool abseil = include.rfind("\"absl/", 0) == 0;
      EXPECT_TRUE(standard || abseil || own.count(include) == 1) << header << " includes " << include;
    }
  }
}

TEST(PublicHeadersTest, NothingOfTheClientIncludesTheEngineOrTheServer) {
  const std::vector<std::filesystem::path> files = SourcesBelow("");
  ASSERT_GE(files.size(), 20u);
  for (const auto& file : files) {
    for (const std::string& include : IncludesOf(file)) {
      // `check --offline` is the engine's own check.
      const bool engine = include.rfind("\"core/", 0) == 0 && file.filename() != "offline.cc";
      EXPECT_FALSE(engine) << file << " includes " << include;
      EXPECT_NE(include.rfind("\"server/", 0), 0u) << file << " includes " << include;
    }
  }
}

}  // namespace
}  // namespace dmcached::client
