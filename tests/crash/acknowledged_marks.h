// Which cblocks must be dirty after a crash, whatever else was under way: their mark was acknowledged, and nobody has
// sent anything since that may clear or remove them.
#ifndef DMCACHED_TESTS_CRASH_ACKNOWLEDGED_MARKS_H_
#define DMCACHED_TESTS_CRASH_ACKNOWLEDGED_MARKS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>

#include "core/cache/mutation.h"
#include "tests/crash/recorded_history.h"

namespace dmcached {

class AcknowledgedMarks {
 public:
  // `number` grows from request to request.
  void Sent(uint64_t number, const Mutation& mutation);
  // Answered, whatever the answer: it changes nothing any more.
  void Answered(uint64_t number) { outstanding_.erase(number); }
  // Acknowledged as a dirty mark must be.
  void Acknowledged(uint64_t number, const Mutation& mutation);
  // Whoever was still sending is dead.
  void ForgetOutstanding() { outstanding_.clear(); }

  std::shared_ptr<const MarkedCblocks> marked() const { return marked_; }

 private:
  // Cblocks that a request may make clean or unmapped; a range or a resize: any.
  struct Touch {
    std::set<uint32_t> cblocks;
    bool any = false;
  };
  bool MayBeTouchedSince(uint64_t number, uint32_t cblock) const;

  std::map<uint64_t, Touch> outstanding_;
  std::map<uint32_t, uint64_t> touched_;  // By cblock: the latest request.
  uint64_t all_touched_ = 0;
  // Touches that were outstanding when a mark was sent: which of the two comes first is open.
  std::map<uint64_t, std::map<uint64_t, Touch>> beside_;
  std::shared_ptr<MarkedCblocks> marked_ = std::make_shared<MarkedCblocks>();
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_CRASH_ACKNOWLEDGED_MARKS_H_
