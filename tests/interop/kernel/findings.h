// What was compared and what was found different.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_FINDINGS_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_FINDINGS_H_

#include <cstdint>
#include <string>

namespace dmcached {

class Findings {  // Not thread-safe.
 public:
  // `context` is put before every difference from now on.
  void SetContext(std::string context) { context_ = std::move(context); }

  // Prints the difference, if there is one: an empty text is none.
  void Compare(const std::string& difference);
  // As Compare, of one statement.
  void Expect(bool holds, const std::string& otherwise) { Compare(holds ? "" : otherwise); }
  // One data block of 32 KiB, looked at byte for byte.
  void CompareBlock(bool same, const std::string& difference);

  uint64_t comparisons() const { return comparisons_; }
  uint64_t data_blocks() const { return data_blocks_; }
  uint64_t differences() const { return differences_; }

 private:
  std::string context_;
  uint64_t comparisons_ = 0;
  uint64_t data_blocks_ = 0;
  uint64_t differences_ = 0;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_FINDINGS_H_
