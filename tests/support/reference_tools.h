// Runs the reference tools (thin-provisioning-tools 0.9.0) on images.
#ifndef DMCACHED_TESTS_SUPPORT_REFERENCE_TOOLS_H_
#define DMCACHED_TESTS_SUPPORT_REFERENCE_TOOLS_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/support/xml_dump.h"

namespace dmcached {

struct ToolResult {
  int exit_status = 0;
  std::string output;  // Standard output and standard error.
};

ToolResult RunCacheCheck(std::span<const std::byte> image);
// Dies when the tool fails.
XmlDump RunCacheDump(std::span<const std::byte> image);
// An image of `blocks` metadata blocks.  Dies when the tool fails.
std::vector<std::byte> RunCacheRestore(const XmlDump& dump, uint32_t version, uint64_t blocks);

// What cache_dump 0.9.0 says of an image with these contents: no discards, and of version 2 no dirty bit.
XmlDump ReferenceDumpOf(const CacheContents& contents);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_REFERENCE_TOOLS_H_
