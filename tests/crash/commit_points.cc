#include "tests/crash/commit_points.h"

#include <utility>

namespace dmcached {

size_t CommitPoints::Add(CacheContents contents) {
  points_.push_back(std::move(contents));
  allowed_.insert(points_.size() - 1);
  return points_.size() - 1;
}

void CommitPoints::BeginIncarnation(uint64_t transaction, size_t point) {
  Settle({point});
  transaction_of_ = {{point, transaction}};
  unfilled_.clear();
}

void CommitPoints::Begun(uint64_t transaction, bool clean) {
  const size_t point = Add();
  transaction_of_[point] = transaction;
  unfilled_[transaction] = {point, clean};
}

void CommitPoints::Durable(uint64_t transaction) {
  std::erase_if(allowed_, [&](size_t point) { return transaction_of_.at(point) < transaction; });
}

}  // namespace dmcached
