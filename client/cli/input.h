// The items of a mutating command, from its arguments or from lines of input, in batches of one message.
#ifndef DMCACHED_CLIENT_CLI_INPUT_H_
#define DMCACHED_CLIENT_CLI_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <istream>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/blocks.h"
#include "dmcached/types.h"

namespace dmcached::cli {

// Items of one message, as columns.
struct ItemBatch {
  std::vector<uint32_t> cblocks = {};
  std::vector<std::optional<uint64_t>> seconds = {};  // Oblocks or hints.
  std::vector<uint8_t> dirty = {};
  std::vector<uint64_t> lines = {};  // Of the input, from 1; empty for arguments.
  uint64_t completed = 0;            // Lines or arguments whose last item is here; a range may go on in the next batch.

  size_t size() const { return cblocks.size(); }
};

class ItemReader {
 public:
  // `arguments` that are just "-" mean the lines of `input`; empty lines are skipped.
  ItemReader(std::vector<std::string> arguments, ItemForm form, std::istream& input);

  // Errors: INVALID_ARGUMENT for "-" among other arguments and for arguments that are not of the form; checked before
  // anything is applied.
  absl::Status Check() const;

  // The next items, at most `max`; an empty batch is the end.  Errors: INVALID_ARGUMENT naming the line.
  absl::StatusOr<ItemBatch> Next(size_t max = client::kMaxItemsPerMessage);

  // To be called when the batch that Next gave last is applied.
  void MarkApplied(const ItemBatch& batch);

  // `status`, the answer about `batch`, with the line that failed and how much was applied before.
  absl::Status Explain(const absl::Status& status, const ItemBatch& batch) const;

  bool from_lines() const { return from_lines_; }
  uint64_t applied() const { return applied_; }
  // How much of the input has been read; nothing for a pipe, whose length is not known.
  std::optional<double> Fraction();

 private:
  // Loads the next argument or line into current_; false at the end.
  absl::StatusOr<bool> Load();
  std::string AppliedSoFar() const;

  const std::vector<std::string> arguments_;
  const ItemForm form_;
  const bool from_lines_;
  std::istream& input_;
  std::optional<uint64_t> total_;  // Items of the arguments, or bytes of the lines.
  size_t next_argument_ = 0;
  uint64_t line_ = 0;
  uint64_t applied_ = 0;             // Items.
  uint64_t applied_lines_ = 0;       // Lines applied to their end.
  uint64_t applied_of_partial_ = 0;  // Items of the line after those.
  std::optional<ItemRange> current_;
};

}  // namespace dmcached::cli

#endif  // DMCACHED_CLIENT_CLI_INPUT_H_
