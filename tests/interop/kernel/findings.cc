#include "tests/interop/kernel/findings.h"

#include <cstdio>

namespace dmcached {
namespace {

// One wrong slice differs in a thousand blocks.
constexpr uint64_t kPrintedAtMost = 100;

}  // namespace

void Findings::Compare(const std::string& difference) {
  ++comparisons_;
  if (difference.empty()) return;
  if (++differences_ > kPrintedAtMost) return;
  std::printf("DIFFERENCE %s: %s\n", context_.c_str(), difference.c_str());
}

void Findings::CompareBlock(bool same, const std::string& difference) {
  ++data_blocks_;
  if (!same) Compare(difference);
}

}  // namespace dmcached
