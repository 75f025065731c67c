#include "client/cli/size.h"

#include <array>
#include <cstddef>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace dmcached::cli {
namespace {

struct Unit {
  const char* name;
  uint64_t factor;
};

constexpr std::array<Unit, 7> kSizeUnits = {{{"", 1},
                                             {"B", 1},
                                             {"s", kSectorBytes},
                                             {"KiB", uint64_t{1} << 10},
                                             {"MiB", uint64_t{1} << 20},
                                             {"GiB", uint64_t{1} << 30},
                                             {"TiB", uint64_t{1} << 40}}};
constexpr std::array<Unit, 3> kTimeUnits = {{{"ms", 1}, {"s", 1000}, {"m", 60000}}};

// Leading digits and what follows them.
std::pair<std::string, std::string> SplitUnit(const std::string& text) {
  const size_t digits = text.find_first_not_of("0123456789");
  if (digits == std::string::npos) return {text, ""};
  return {text.substr(0, digits), text.substr(digits)};
}

bool Digits(absl::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == absl::string_view::npos;
}

// Number times unit.  `what`: "is not a size; write ...".
template <typename Units>
absl::StatusOr<uint64_t> ParseWithUnit(const std::string& text, const Units& units, const char* what) {
  const auto [digits, name] = SplitUnit(text);
  uint64_t number = 0;
  for (const Unit& unit : units) {
    if (name != unit.name || digits.empty()) continue;
    if (!absl::SimpleAtoi(digits, &number) || number > std::numeric_limits<uint64_t>::max() / unit.factor) {
      return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is too large"));
    }
    return number * unit.factor;
  }
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" ", what));
}

}  // namespace

absl::StatusOr<uint64_t> ParseNumber(const std::string& text) {
  uint64_t number = 0;
  if (!Digits(text)) return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a number"));
  if (!absl::SimpleAtoi(text, &number)) return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is too large"));
  return number;
}

absl::StatusOr<uint32_t> ParseNumber32(const std::string& text) {
  const absl::StatusOr<uint64_t> number = ParseNumber(text);
  if (!number.ok()) return number.status();
  if (*number > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is too large"));
  }
  return static_cast<uint32_t>(*number);
}

absl::StatusOr<uint64_t> ParseBytes(const std::string& text) {
  return ParseWithUnit(text, kSizeUnits,
                       "is not a size; write bytes, or a number with KiB, MiB, GiB, TiB or s (sectors), like 64KiB");
}

absl::StatusOr<uint64_t> ParseSectors(const std::string& text) {
  const absl::StatusOr<uint64_t> bytes = ParseBytes(text);
  if (!bytes.ok()) return bytes.status();
  if (*bytes % kSectorBytes != 0) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a multiple of 512 bytes"));
  }
  return *bytes / kSectorBytes;
}

absl::StatusOr<uint32_t> ParseMilliseconds(const std::string& text) {
  const absl::StatusOr<uint64_t> ms =
      ParseWithUnit(text, kTimeUnits, "is not a time; write a number with ms, s or m, like 60s");
  if (!ms.ok()) return ms.status();
  if (*ms > std::numeric_limits<uint32_t>::max()) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is too large"));
  }
  return static_cast<uint32_t>(*ms);
}

absl::StatusOr<uint64_t> ParseHex(const std::string& text) {
  uint64_t number = 0;
  const bool digits =
      !text.empty() && text.size() <= 16 && text.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
  if (!digits || !absl::SimpleHexAtoi(text, &number)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not a number of 16 hex digits"));
  }
  return number;
}

std::string FormatHex(uint64_t value) { return absl::StrCat(absl::Hex(value, absl::kZeroPad16)); }

absl::StatusOr<client::PolicyVersion> ParsePolicyVersion(const std::string& text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '.');
  std::array<uint32_t, 3> numbers = {};
  bool good = parts.size() == numbers.size();
  for (size_t i = 0; good && i < numbers.size(); ++i) {
    const absl::StatusOr<uint32_t> number = ParseNumber32(parts[i]);
    good = number.ok();
    if (good) numbers[i] = *number;
  }
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" is not a policy version; write three numbers like 2.0.0"));
  }
  return client::PolicyVersion{numbers[0], numbers[1], numbers[2]};
}

std::string FormatPolicyVersion(const client::PolicyVersion& version) {
  return absl::StrCat(version.major, ".", version.minor, ".", version.patch);
}

std::string FormatBytes(uint64_t bytes) {
  for (auto unit = kSizeUnits.rbegin(); unit != std::prev(kSizeUnits.rend(), 3); ++unit) {
    if (bytes < unit->factor) continue;
    const uint64_t whole = bytes / unit->factor;
    const uint64_t rest = bytes % unit->factor;
    if (rest == 0) return absl::StrCat(whole, unit->name);
    const uint64_t tenths = rest * 10 / unit->factor;
    return absl::StrCat(whole, ".", tenths, unit->name);
  }
  return absl::StrCat(bytes, "B");
}

}  // namespace dmcached::cli
