#include "tests/support/cache_contents.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace dmcached {
namespace {

template <typename T>
void CompareField(const char* name, const T& found, const T& expected, std::string& out) {
  if (found != expected) absl::StrAppend(&out, name, " ", found, ", expected ", expected, "; ");
}

std::string Describe(const std::map<uint32_t, MappedTo>& mappings, uint32_t cblock) {
  const auto at = mappings.find(cblock);
  if (at == mappings.end()) return "unmapped";
  return absl::StrCat("oblock ", at->second.oblock, at->second.dirty ? " dirty" : " clean");
}

void CompareMappings(const CacheContents& found, const CacheContents& expected, std::string& out) {
  CompareField("mapped", found.mappings.size(), expected.mappings.size(), out);
  for (uint32_t cblock = 0; cblock < std::max(found.cache_blocks, expected.cache_blocks); ++cblock) {
    const std::string ours = Describe(found.mappings, cblock);
    const std::string theirs = Describe(expected.mappings, cblock);
    if (ours == theirs) continue;
    absl::StrAppend(&out, "cblock ", cblock, " is ", ours, ", expected ", theirs, "; ");
    return;
  }
}

template <typename Vector>
void CompareVector(const char* name, const Vector& found, const Vector& expected, std::string& out) {
  CompareField(absl::StrCat(name, " count").c_str(), found.size(), expected.size(), out);
  for (size_t i = 0; i < std::min(found.size(), expected.size()); ++i) {
    if (found[i] == expected[i]) continue;
    absl::StrAppend(&out, name, " ", i, " is ", static_cast<uint64_t>(found[i]), ", expected ",
                    static_cast<uint64_t>(expected[i]), "; ");
    return;
  }
}

std::string ToText(const std::array<uint32_t, 3>& v) { return absl::StrCat(v[0], ".", v[1], ".", v[2]); }

std::string ToText(const Stats& s) {
  return absl::StrCat(s.read_hits, " ", s.read_misses, " ", s.write_hits, " ", s.write_misses);
}

}  // namespace

std::string Difference(const CacheContents& found, const CacheContents& expected) {
  if (found == expected) return "";
  std::string out;
  CompareField("version", found.version, expected.version, out);
  CompareField("clean_shutdown", found.clean_shutdown, expected.clean_shutdown, out);
  CompareField("needs_check", found.needs_check, expected.needs_check, out);
  CompareField("data_block_size", found.data_block_size, expected.data_block_size, out);
  CompareField("cache_blocks", found.cache_blocks, expected.cache_blocks, out);
  CompareField("discard_block_size", found.discard_block_size, expected.discard_block_size, out);
  CompareField("policy_name", found.policy_name, expected.policy_name, out);
  CompareField("policy_version", ToText(found.policy_version), ToText(expected.policy_version), out);
  CompareField("policy_hint_size", found.policy_hint_size, expected.policy_hint_size, out);
  CompareField("stats", ToText(found.stats), ToText(expected.stats), out);
  CompareMappings(found, expected, out);
  CompareVector("dblock", found.discards, expected.discards, out);
  CompareField("hint array", found.hints.has_value(), expected.hints.has_value(), out);
  if (found.hints.has_value() && expected.hints.has_value()) CompareVector("hint", *found.hints, *expected.hints, out);
  return out;
}

std::vector<std::pair<uint64_t, uint64_t>> RangesOf(const std::vector<bool>& bits) {
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (uint64_t i = 0; i < bits.size(); ++i) {
    if (!bits[i]) continue;
    if (!ranges.empty() && ranges.back().second == i) {
      ranges.back().second = i + 1;
    } else {
      ranges.emplace_back(i, i + 1);
    }
  }
  return ranges;
}

}  // namespace dmcached
