// The caller of one cache: what it asks of the service is done to a model too, and both are compared.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_CALLER_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_CALLER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "core/cache/cache_metadata.h"
#include "core/cache/mutation.h"
#include "dmcached/client.h"
#include "tests/interop/kernel/findings.h"
#include "tests/support/cache_contents.h"
#include "tests/support/cache_model.h"
#include "tests/support/random.h"

namespace dmcached {

// The sizes between which ChangeAtRandom resizes: one or two array blocks of mappings.
inline constexpr uint32_t kMinCacheBlocks = 400;
inline constexpr uint32_t kMaxCacheBlocks = 600;
// Mappings are below this origin block, whatever the origin's size.
inline constexpr uint64_t kMappedOblocks = 1024;

class Caller {  // Not thread-safe.
 public:
  // `metadata_path` is a file of zeros.  Nothing is created yet.
  Caller(std::string name, std::string metadata_path, const FormatParams& params, Findings& findings)
      : name_(std::move(name)),
        metadata_path_(std::move(metadata_path)),
        params_(params),
        findings_(findings),
        model_(params) {}

  void Create(client::Client& client);
  // Opens what `medium` describes, adopting it if it is not clean, and compares all that the service says of it.
  void Open(client::Client& client, const CacheContents& medium);
  // Grows or shrinks, removes, inserts, marks, clears, discards, saves hints; some mappings end up both dirty and
  // discarded.  Every change is durable when this returns.
  void ChangeAtRandom(client::Client& client, Random& random);
  // Compares what the service lists with the model.
  void CompareWithModel(client::Client& client);
  void Close(client::Client& client);

  // Marks mappings dirty, a few at a time, until a request gets no answer; calls `on_answer` after each that does.  For
  // a thread of its own.
  void MarkUntilUnanswered(client::Client& client, uint64_t seed, const std::function<void()>& on_answer);
  // After the daemon has gone: what was answered must be in `image`, what was not answered may be, as a whole.
  void Settle(const CacheContents& image);

  const CacheContents& expected() const { return model_.durable(); }
  const std::string& name() const { return name_; }
  const std::string& metadata_path() const { return metadata_path_; }
  uint64_t origin_sectors() const { return params_.origin_size.value(); }

 private:
  client::DirtyTracking Tracking() const;
  // Applies it to the model, which must accept it, and makes it durable there.
  void ApplyToModel(const Mutation& mutation);
  // Sends the mutation, and applies it to the model.
  void Apply(client::Client& client, const Mutation& mutation);
  void ResizeAtRandom(client::Client& client, Random& random);
  void RemoveAtRandom(client::Client& client, Random& random);
  void InsertAtRandom(client::Client& client, Random& random);
  void MarkAtRandom(client::Client& client, Random& random);
  void DiscardAtRandom(client::Client& client, Random& random);
  void HintAtRandom(client::Client& client, Random& random);

  const std::string name_;
  const std::string metadata_path_;
  const FormatParams params_;
  Findings& findings_;
  CacheModel model_;
  std::vector<std::vector<uint32_t>> marks_;  // Of MarkUntilUnanswered; the last one got no answer.
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_CALLER_H_
