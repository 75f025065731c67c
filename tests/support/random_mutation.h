// Random requests: mostly ones that a model of the cache accepts, some that it refuses.
#ifndef DMCACHED_TESTS_SUPPORT_RANDOM_MUTATION_H_
#define DMCACHED_TESTS_SUPPORT_RANDOM_MUTATION_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/cache/mutation.h"
#include "tests/support/cache_model.h"
#include "tests/support/random.h"

namespace dmcached {

struct MutationLimits {
  uint32_t max_cache_blocks = 3000;
  uint64_t max_origin_blocks = 6000;  // In units of the cache block size.
  size_t max_items = 40;
  bool resize = true;
};

// A request and the memory of its columns.
class RandomMutation {
 public:
  RandomMutation(const CacheModel& model, const MutationLimits& limits, Random& random);
  RandomMutation(const RandomMutation&) = delete;
  RandomMutation& operator=(const RandomMutation&) = delete;

  const Mutation& mutation() const { return mutation_; }

 private:
  void Insert();
  void Remove();
  void RemoveRange();
  void Mark();
  void Clear();
  void Discard(bool set);
  void StartHints();
  void Hint();
  void Statistics();
  void ChangeSize();

  void PickMapped(bool clean_only);
  uint32_t AnyCblock() { return static_cast<uint32_t>(random_.Below(contents_.cache_blocks + 1)); }
  bool Spoil() { return random_.OneIn(60); }

  const CacheModel& model_;
  const CacheContents& contents_;
  const MutationLimits& limits_;
  Random& random_;
  std::vector<uint32_t> cblocks_;
  std::vector<uint64_t> oblocks_;
  std::vector<uint32_t> hints_;
  std::unique_ptr<bool[]> dirty_;
  std::vector<DblockRange> ranges_;
  Mutation mutation_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_RANDOM_MUTATION_H_
