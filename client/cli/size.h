// Strict parsers of numbers, sizes and times as people write them, and the way back.
// Errors: INVALID_ARGUMENT, a sentence that quotes the text and shows what would be right.
#ifndef DMCACHED_CLIENT_CLI_SIZE_H_
#define DMCACHED_CLIENT_CLI_SIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "dmcached/types.h"

namespace dmcached::cli {

inline constexpr uint64_t kSectorBytes = 512;

// Decimal digits only.
absl::StatusOr<uint64_t> ParseNumber(const std::string& text);
absl::StatusOr<uint32_t> ParseNumber32(const std::string& text);

// "4096", "64KiB", "10GiB" (KiB, MiB, GiB, TiB), "512s" (sectors of 512 bytes) -> bytes.
absl::StatusOr<uint64_t> ParseBytes(const std::string& text);
// The same, in sectors; a size that is not a multiple of 512 bytes is an error.
absl::StatusOr<uint64_t> ParseSectors(const std::string& text);

// "500ms", "60s", "2m" -> milliseconds.
absl::StatusOr<uint32_t> ParseMilliseconds(const std::string& text);

// 1 to 16 hex digits.
absl::StatusOr<uint64_t> ParseHex(const std::string& text);
// Exactly 16 hex digits.
std::string FormatHex(uint64_t value);

// "2.0.0".
absl::StatusOr<client::PolicyVersion> ParsePolicyVersion(const std::string& text);
std::string FormatPolicyVersion(const client::PolicyVersion& version);

// "64KiB", "1.5GiB", "513B": for people; cut to one decimal.
std::string FormatBytes(uint64_t bytes);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_SIZE_H_
