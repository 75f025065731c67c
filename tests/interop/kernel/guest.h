// A virtual machine with Debian's kernel that runs one script over some disks.
#ifndef DMCACHED_TESTS_INTEROP_KERNEL_GUEST_H_
#define DMCACHED_TESTS_INTEROP_KERNEL_GUEST_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace dmcached {

struct GuestReport {
  std::vector<std::string> lines;  // What the script printed after "@ ", line by line.
  std::string kernel_log;
  bool power_cut = false;
};

class Guest {  // Not thread-safe.
 public:
  // `system_folder` was filled by setup.sh; in `work_folder` the script and the logs are put.
  Guest(std::string system_folder, std::string work_folder)
      : system_folder_(std::move(system_folder)), work_folder_(std::move(work_folder)) {}

  // The guest finds it as /dev/disk/NAME.
  void AddDisk(const std::string& name, const std::string& path) { disks_.emplace_back(name, path); }

  // Boots, runs the script with guest.sh before it, and powers off.  When the script prints "@ cut", the power is cut:
  // the machine ends at once, and whatever its kernel had not written is lost.
  // Errors: kInternal, with the kernel's last words, if the guest dies or takes more than five minutes.
  absl::StatusOr<GuestReport> Run(const std::string& script);

 private:
  std::vector<std::string> Command(const std::string& console) const;

  const std::string system_folder_;
  const std::string work_folder_;
  std::vector<std::pair<std::string, std::string>> disks_;
};

}  // namespace dmcached

#endif  // DMCACHED_TESTS_INTEROP_KERNEL_GUEST_H_
