// What the checker has against an image: everything above a note.  Nothing, if the image is as dmcached, or any other
// sound writer, leaves it.
#ifndef DMCACHED_TESTS_SUPPORT_ALARMS_H_
#define DMCACHED_TESTS_SUPPORT_ALARMS_H_

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/device/memory_device.h"
#include "core/maintenance/checker.h"
#include "core/maintenance/device_source.h"

namespace dmcached {

class Alarms : public CheckSink {
 public:
  explicit Alarms(BlockDevice& device) {
    DeviceSource source(device);
    absl::StatusOr<CheckSummary> summary = CheckMetadata(source, {}, *this);
    status_ = summary.status();
    if (summary.ok()) summary_ = *summary;
  }
  explicit Alarms(std::span<const std::byte> image) : Alarms(Temporary(image)) {}

  void OnProgress(uint64_t, uint64_t) override {}
  void OnFinding(const Finding& finding) override {
    if (finding.severity != Severity::kNote) findings_.push_back(finding);
  }

  bool any() const { return !status_.ok() || !findings_.empty(); }
  const std::vector<Finding>& findings() const { return findings_; }
  const CheckSummary& summary() const { return summary_; }
  // All of them but those of one kind, joined, or why the checker gave up; empty for a sound image.
  std::string ToString(std::optional<FindingKind> but = std::nullopt) const {
    if (!status_.ok()) return "the checker gives up: " + status_.ToString();
    std::string text;
    for (const Finding& finding : findings_) {
      if (finding.kind == but) continue;
      absl::StrAppend(&text, text.empty() ? "the checker says: " : "; ", SeverityName(finding.severity), ": ",
                      finding.message);
    }
    return text;
  }

 private:
  struct Temporary {
    explicit Temporary(std::span<const std::byte> image) : device(image) {}
    MemoryDevice device;
  };
  explicit Alarms(Temporary&& temporary) : Alarms(temporary.device) {}

  absl::Status status_;
  CheckSummary summary_;
  std::vector<Finding> findings_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_SUPPORT_ALARMS_H_
