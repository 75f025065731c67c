// What the caller of a scenario was told, and so what the medium must hold whatever happens to it next.
#ifndef DMCACHED_TESTS_FAULT_PROMISES_H_
#define DMCACHED_TESTS_FAULT_PROMISES_H_

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/cache_contents.h"

namespace dmcached {

// Each request is told of before it is sent: from then on its items may be as before or as asked.  Only the answer OK
// settles them again; after any other nobody knows.
class Promises {
 public:
  static constexpr uint64_t kOblockOffset = 1000;  // Every mapping is cblock -> kOblockOffset + cblock.
  struct Policy {
    std::string name;
    std::array<uint32_t, 3> version{};
    auto operator<=>(const Policy&) const = default;
  };

  Promises(uint32_t cache_blocks, Policy policy) : cache_blocks_{cache_blocks}, policies_{std::move(policy)} {}

  void Inserting(uint32_t begin, uint32_t end);
  void Inserted(uint32_t begin, uint32_t end, bool dirty, bool durable);
  void Marked(uint32_t begin, uint32_t end);
  void Removing(uint32_t begin, uint32_t end);
  void Removed(uint32_t begin, uint32_t end);
  void SettingDiscards(uint64_t begin, uint64_t end);
  void ClearedDiscards(uint64_t begin, uint64_t end);
  void Resizing(uint32_t cache_blocks) { cache_blocks_.insert(cache_blocks); }
  void Resized(uint32_t cache_blocks) { cache_blocks_ = {cache_blocks}; }
  void BeginningHints(const Policy& policy) { policies_.insert(policy); }
  void BegunHints(const Policy& policy) { policies_ = {policy}; }

  // All that was applied is durable.
  void Committed();
  // Nobody knows what became of what was applied only.
  void Lost() { applied_.clear(); }
  // By an adoption everything mapped is dirty and nothing is discarded.
  void Adopted();

  // Acknowledged as durably dirty, and not asked to be removed since.
  const std::set<uint32_t>& dirty() const { return dirty_; }
  std::set<uint32_t> mapped() const;
  // What is not as it must be; `all_dirty`: to whoever opens it.
  std::vector<std::string> Broken(const CacheContents& found, bool all_dirty) const;

 private:
  enum class State { kUnmapped, kMapped, kUnknown };

  std::map<uint32_t, State> cblocks_;  // Those ever mapped.
  std::set<uint32_t> applied_;         // Mapped, if nothing fails before the next commit.
  std::set<uint32_t> dirty_;
  std::set<uint64_t> discarded_;  // Dblocks that may be.
  std::set<uint32_t> cache_blocks_;
  std::set<Policy> policies_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_FAULT_PROMISES_H_
