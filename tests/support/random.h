// Random numbers of tests: from one seed, which is printed and can be set.
#ifndef DMCACHED_TESTS_SUPPORT_RANDOM_H_
#define DMCACHED_TESTS_SUPPORT_RANDOM_H_

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace dmcached {

// DMCACHED_TEST_SEED if it is set, else another one each time; printed once, so that a failure can be repeated.
inline uint64_t TestSeed() {
  static const uint64_t seed = [] {
    const char* text = std::getenv("DMCACHED_TEST_SEED");
    const uint64_t chosen = text != nullptr ? std::strtoull(text, nullptr, 0)
                                            : (uint64_t{std::random_device{}()} << 32) | std::random_device{}();
    std::fprintf(stderr, "repeat with DMCACHED_TEST_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }();
  return seed;
}

class Random {  // Not thread-safe.
 public:
  explicit Random(uint64_t seed = TestSeed()) : engine_(seed) {}

  uint64_t Next() { return engine_(); }
  // Below `limit`, which is above 0.
  uint64_t Below(uint64_t limit) { return engine_() % limit; }
  // From `low` to `high`, both included.
  uint64_t Between(uint64_t low, uint64_t high) { return low + Below(high - low + 1); }
  // True once in `n` times.
  bool OneIn(uint64_t n) { return Below(n) == 0; }
  std::mt19937_64& engine() { return engine_; }  // For std::shuffle.

 private:
  std::mt19937_64 engine_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_RANDOM_H_
