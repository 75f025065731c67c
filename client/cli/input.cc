#include "client/cli/input.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dmcached/status.h"

namespace dmcached::cli {

ItemReader::ItemReader(std::vector<std::string> arguments, ItemForm form, std::istream& input)
    : arguments_(std::move(arguments)),
      form_(form),
      from_lines_(arguments_.size() == 1 && arguments_[0] == "-"),
      input_(input) {
  if (!from_lines_) {
    total_ = 0;
    for (const std::string& argument : arguments_) {
      const absl::StatusOr<ItemRange> item = ParseItem(argument, form_);
      if (item.ok()) *total_ += item->end - item->begin;
    }
    return;
  }
  // A pipe has no position, and of an input that is half read already the end says little.
  if (input_.tellg() == std::istream::pos_type(0)) {
    input_.seekg(0, std::ios::end);
    if (const auto end = static_cast<std::streamoff>(input_.tellg()); end > 0) total_ = static_cast<uint64_t>(end);
    input_.seekg(0);
  }
  input_.clear();
}

std::optional<double> ItemReader::Fraction() {
  if (!total_ || *total_ == 0) return std::nullopt;
  if (!from_lines_) return static_cast<double>(applied_) / static_cast<double>(*total_);
  const auto position = static_cast<std::streamoff>(input_.tellg());
  if (position < 0) return std::nullopt;  // At the end of the input it has none.
  return static_cast<double>(position) / static_cast<double>(*total_);
}

absl::Status ItemReader::Check() const {
  if (from_lines_) return absl::OkStatus();
  if (std::count(arguments_.begin(), arguments_.end(), "-") != 0) {
    return absl::InvalidArgumentError("\"-\" reads the items from standard input and stands alone");
  }
  for (const std::string& argument : arguments_) {
    if (absl::Status status = ParseItem(argument, form_).status(); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> ItemReader::Load() {
  std::string text;
  if (from_lines_) {
    do {
      if (!std::getline(input_, text)) return false;
      ++line_;
    } while (text.find_first_not_of(" \t\r") == std::string::npos);
    if (text.back() == '\r') text.pop_back();
  } else {
    if (next_argument_ == arguments_.size()) return false;
    text = arguments_[next_argument_++];
  }
  absl::StatusOr<ItemRange> item = ParseItem(text, form_);
  if (!item.ok()) {
    if (!from_lines_) return item.status();
    return client::MakeError(absl::StatusCode::kInvalidArgument, "INVALID_REQUEST",
                             absl::StrCat("line ", line_, ": ", item.status().message(), " (", AppliedSoFar(), ")"));
  }
  current_ = *std::move(item);
  return true;
}

absl::StatusOr<ItemBatch> ItemReader::Next(size_t max) {
  ItemBatch batch;
  while (batch.size() < max) {
    if (!current_) {
      const absl::StatusOr<bool> loaded = Load();
      if (!loaded.ok()) return loaded.status();
      if (!*loaded) break;
    }
    batch.cblocks.push_back(current_->begin);
    batch.seconds.push_back(current_->second);
    batch.dirty.push_back(current_->dirty ? 1 : 0);
    if (from_lines_) batch.lines.push_back(line_);
    if (uint64_t{current_->begin} + 1 < current_->end) {
      ++current_->begin;
    } else {
      current_.reset();
      ++batch.completed;
    }
  }
  return batch;
}

void ItemReader::MarkApplied(const ItemBatch& batch) {
  applied_ += batch.size();
  if (!from_lines_) return;
  applied_lines_ += batch.completed;
  if (current_) {
    // The last line goes on: it counts by its items.
    const auto begun = std::find(batch.lines.begin(), batch.lines.end(), line_);
    applied_of_partial_ =
        (batch.completed == 0 ? applied_of_partial_ : 0) + static_cast<uint64_t>(batch.lines.end() - begun);
  } else {
    applied_of_partial_ = 0;
  }
}

std::string ItemReader::AppliedSoFar() const {
  if (!from_lines_) return absl::StrCat(applied_, applied_ == 1 ? " item was applied" : " items were applied");
  std::string partial;
  if (applied_of_partial_ > 0) partial = absl::StrCat(" and the first ", applied_of_partial_, " items of the next");
  const bool one = applied_lines_ == 1 && partial.empty();
  return absl::StrCat(applied_lines_, applied_lines_ == 1 ? " line" : " lines", partial,
                      one ? " was applied" : " were applied");
}

absl::Status ItemReader::Explain(const absl::Status& status, const ItemBatch& batch) const {
  std::string where;
  const std::optional<uint64_t> item = client::ItemOf(status);
  if (!batch.lines.empty() && item && *item < batch.lines.size()) {
    where = absl::StrCat("line ", batch.lines[*item], ": ");
  } else if (!batch.lines.empty()) {
    where = absl::StrCat("lines ", batch.lines.front(), " to ", batch.lines.back(), ": ");
  }
  std::string so_far;
  if (from_lines_ || applied_ > 0) {
    so_far = absl::StrCat(" (", AppliedSoFar(), client::OutcomeUnknown(status) ? ", perhaps the next batch too)" : ")");
  }
  return client::WithMessage(status, absl::StrCat(where, status.message(), so_far));
}

}  // namespace dmcached::cli
