#include "tests/support/fixtures.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "core/base/check.h"

namespace dmcached {
namespace {

std::filesystem::path FixturePath(const std::string& name, const std::string& file) {
  return std::filesystem::path(DMCACHED_FIXTURES_DIR) / name / file;
}

}  // namespace

std::vector<std::string> FixtureNames() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(DMCACHED_FIXTURES_DIR)) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string FixtureText(const std::string& name, const std::string& file) {
  std::ifstream stream(FixturePath(name, file), std::ios::binary);
  DMCACHED_CHECK(stream.good());
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

nlohmann::json FixtureJson(const std::string& name) { return nlohmann::json::parse(FixtureText(name, "fixture.json")); }

std::vector<std::byte> FixtureImage(const std::string& name) {
  const std::string command = "xz -dc '" + FixturePath(name, "meta.img.xz").string() + "'";
  std::FILE* pipe = ::popen(command.c_str(), "r");
  DMCACHED_CHECK(pipe != nullptr);
  std::vector<std::byte> image;
  std::vector<std::byte> chunk(1 << 16);
  while (const size_t count = std::fread(chunk.data(), 1, chunk.size(), pipe)) {
    image.insert(image.end(), chunk.begin(), chunk.begin() + static_cast<std::ptrdiff_t>(count));
  }
  DMCACHED_CHECK(::pclose(pipe) == 0 && !image.empty());
  return image;
}

}  // namespace dmcached
