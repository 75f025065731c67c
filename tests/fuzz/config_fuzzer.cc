// Arbitrary configuration files: a config, or one clear error.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "core/base/status.h"
#include "server/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  dmcached::Config config;
  const std::string text(reinterpret_cast<const char*>(bytes), size);
  absl::Status status = dmcached::ParseConfig("fuzzed.json", text, config);
  if (status.ok()) status = dmcached::CheckConfig(config);
  if (!status.ok() && (status.message().empty() || status.message().size() > 4096)) std::abort();
  return 0;
}
