#include "tests/support/xml_dump.h"

#include <array>
#include <sstream>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/base/check.h"
#include "core/base/le.h"

namespace dmcached {
namespace {

std::string Attribute(const std::string& line, const std::string& name) {
  const std::string opening = " " + name + "=\"";
  const size_t begin = line.find(opening);
  DMCACHED_CHECK(begin != std::string::npos);
  const size_t end = line.find('"', begin + opening.size());
  DMCACHED_CHECK(end != std::string::npos);
  return line.substr(begin + opening.size(), end - begin - opening.size());
}

template <typename T>
T Number(const std::string& line, const std::string& name) {
  T value = 0;
  DMCACHED_CHECK(absl::SimpleAtoi(Attribute(line, name), &value));
  return value;
}

uint32_t Hint(const std::string& line) {
  std::string bytes;
  DMCACHED_CHECK(absl::Base64Unescape(Attribute(line, "data"), &bytes) && bytes.size() == 4);
  return LoadLe<uint32_t>(reinterpret_cast<const std::byte*>(bytes.data()));
}

std::string Encoded(uint32_t hint) {
  std::array<std::byte, 4> bytes;
  StoreLe(bytes.data(), hint);
  return absl::Base64Escape(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

}  // namespace

XmlDump ParseXmlDump(const std::string& text) {
  XmlDump dump;
  std::istringstream lines(text);
  bool ended = false;
  for (std::string line; std::getline(lines, line);) {
    auto is = [&](const char* tag) { return line.find(tag) != std::string::npos; };
    if (is("<superblock ")) {
      dump.block_size = Number<uint64_t>(line, "block_size");
      dump.cache_blocks = Number<uint32_t>(line, "nr_cache_blocks");
      dump.policy = Attribute(line, "policy");
      dump.hint_width = Number<uint32_t>(line, "hint_width");
    } else if (is("<mapping ")) {
      const std::string dirty = Attribute(line, "dirty");
      DMCACHED_CHECK(dirty == "true" || dirty == "false");
      dump.mappings[Number<uint32_t>(line, "cache_block")] = {.oblock = Number<uint64_t>(line, "origin_block"),
                                                              .dirty = dirty == "true"};
    } else if (is("<hint ")) {
      dump.hints[Number<uint32_t>(line, "cache_block")] = Hint(line);
    } else if (is("<discard ")) {
      dump.discards.emplace_back(Number<uint64_t>(line, "dbegin"), Number<uint64_t>(line, "dend"));
    } else {
      ended = ended || is("</superblock>");
    }
  }
  DMCACHED_CHECK(ended);
  return dump;
}

std::string PrintXmlDump(const XmlDump& dump) {
  std::string out =
      absl::StrCat("<superblock uuid=\"\" block_size=\"", dump.block_size, "\" nr_cache_blocks=\"", dump.cache_blocks,
                   "\" policy=\"", dump.policy, "\" hint_width=\"", dump.hint_width, "\">\n  <mappings>\n");
  for (const auto& [cblock, to] : dump.mappings) {
    absl::StrAppend(&out, "    <mapping cache_block=\"", cblock, "\" origin_block=\"", to.oblock, "\" dirty=\"",
                    to.dirty ? "true" : "false", "\"/>\n");
  }
  absl::StrAppend(&out, "  </mappings>\n  <hints>\n");
  for (const auto& [cblock, hint] : dump.hints) {
    absl::StrAppend(&out, "    <hint cache_block=\"", cblock, "\" data=\"", Encoded(hint), "\"/>\n");
  }
  absl::StrAppend(&out, "  </hints>\n</superblock>\n");
  return out;
}

XmlDump DumpOf(const CacheContents& contents) {
  XmlDump dump = {.block_size = contents.data_block_size,
                  .cache_blocks = contents.cache_blocks,
                  .policy = contents.policy_name,
                  .hint_width = 4,  // What the tools assume where the superblock says 0.
                  .mappings = contents.mappings,
                  .hints = {},
                  .discards = RangesOf(contents.discards)};
  if (!contents.hints.has_value()) return dump;
  for (const auto& [cblock, to] : contents.mappings) {
    if (cblock < contents.hints->size()) dump.hints[cblock] = (*contents.hints)[cblock];
  }
  return dump;
}

}  // namespace dmcached
