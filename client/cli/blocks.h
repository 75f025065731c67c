// Blocks, ranges and items as they are written on a command line or in a line of input.
// Errors: INVALID_ARGUMENT, a sentence that quotes the text.
#ifndef DMCACHED_CLIENT_CLI_BLOCKS_H_
#define DMCACHED_CLIENT_CLI_BLOCKS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "dmcached/types.h"

namespace dmcached::cli {

// "7", or "0-99": both ends belong to it.  Returned half open.
absl::StatusOr<client::BlockRange> ParseBlocks(const std::string& text);

// "7", or "0-100" as BEGIN-END: END does not belong to it, as in `discard list`.
absl::StatusOr<client::BlockRange> ParseBeginEnd(const std::string& text);

// What an item may look like.
enum class ItemForm {
  kCblocks,          // 7 | 0-99
  kCblocksOrPairs,   // 7 | 0-99 | 7:1200
  kRepeatablePairs,  // 7:1200, because what a look-up adds to a plain cblock may be something else the next time
  kPairs,            // 7:1200 | 7:1200:dirty
  kValues,           // 7:42
};

// Consecutive cblocks; with `second` (an oblock or a hint) exactly one.
struct ItemRange {
  uint32_t begin = 0;
  uint64_t end = 0;  // Exclusive; at most 2^32.
  std::optional<uint64_t> second = {};
  bool dirty = false;
};

// One argument, or one line of input: there white space may stand for ':'.
absl::StatusOr<ItemRange> ParseItem(const std::string& text, ItemForm form);

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_BLOCKS_H_
