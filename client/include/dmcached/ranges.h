// Server streams as ranges:
//
//   Stream<Mapping> stream = client.ListMappings("fast0");
//   for (const Mapping& mapping : stream) { ... }
//   if (!stream.status().ok()) { ... }
//
// A loop that ends may have ended by an error: status() is asked afterwards.  Destroying a stream cancels it.
#ifndef DMCACHED_CLIENT_INCLUDE_DMCACHED_RANGES_H_
#define DMCACHED_CLIENT_INCLUDE_DMCACHED_RANGES_H_

#include <cstddef>
#include <iterator>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace dmcached::client {

// Where a stream gets its messages from.
template <typename Item>
class MessageSource {
 public:
  virtual ~MessageSource() = default;  // Cancels what is under way.
  // Replaces `items` by those of the next message and `cursor` by the position behind it; false at the end.
  virtual bool Next(std::vector<Item>& items, std::string& cursor) = 0;
  // Why it ended.  Called once, after Next returned false.
  virtual absl::Status Finish() = 0;
};

// Single pass; holds one message at a time.  Not thread-safe.
template <typename Item>
class Stream {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Item;
    using difference_type = std::ptrdiff_t;
    using pointer = const Item*;
    using reference = const Item&;

    explicit Iterator(Stream* stream) : stream_(stream) {}
    reference operator*() const { return stream_->items_[stream_->position_]; }
    pointer operator->() const { return &**this; }
    Iterator& operator++() {
      stream_->Advance();
      return *this;
    }
    void operator++(int) { stream_->Advance(); }
    bool operator==(std::default_sentinel_t) const { return stream_->ended_; }

   private:
    Stream* stream_;
  };

  explicit Stream(std::unique_ptr<MessageSource<Item>> source) : source_(std::move(source)) {}
  Stream(Stream&&) noexcept = default;
  Stream& operator=(Stream&&) noexcept = default;

  // Reads the first message.  Only once a stream; iterators live as long as the stream stays where it is.
  Iterator begin() {
    if (!started_) {
      started_ = true;
      FetchNonEmpty();
    }
    return Iterator(this);
  }
  std::default_sentinel_t end() const { return {}; }

  // OK while it runs and after a complete end.
  const absl::Status& status() const { return status_; }

  // Position behind the last message read, to resume from after an error; every item of it was given out by then.
  const std::string& cursor() const { return cursor_; }

 private:
  void Advance() {
    if (++position_ == items_.size()) FetchNonEmpty();
  }

  void FetchNonEmpty() {
    items_.clear();
    position_ = 0;
    while (items_.empty()) {
      if (!source_->Next(items_, cursor_)) {
        ended_ = true;
        status_ = source_->Finish();
        return;
      }
    }
  }

  std::unique_ptr<MessageSource<Item>> source_;
  std::vector<Item> items_;
  size_t position_ = 0;
  bool started_ = false;
  bool ended_ = false;
  std::string cursor_;
  absl::Status status_;
};

}  // namespace dmcached::client

#endif  // DMCACHED_CLIENT_INCLUDE_DMCACHED_RANGES_H_
