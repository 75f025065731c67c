// What cache_dump prints and cache_restore reads.
#ifndef DMCACHED_TESTS_SUPPORT_XML_DUMP_H_
#define DMCACHED_TESTS_SUPPORT_XML_DUMP_H_

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cache_contents.h"

namespace dmcached {

struct XmlDump {
  uint64_t block_size = 0;  // Sectors.
  uint32_t cache_blocks = 0;
  std::string policy;
  uint32_t hint_width = 0;
  std::map<uint32_t, MappedTo> mappings;
  std::map<uint32_t, uint32_t> hints;
  std::vector<std::pair<uint64_t, uint64_t>> discards;  // Half-open.
  bool operator==(const XmlDump&) const = default;
};

// One element a line, as the tools print them.  Dies on anything else.
XmlDump ParseXmlDump(const std::string& text);
std::string PrintXmlDump(const XmlDump& dump);

// What a dump without its bugs would say of the contents.
XmlDump DumpOf(const CacheContents& contents);

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_XML_DUMP_H_
