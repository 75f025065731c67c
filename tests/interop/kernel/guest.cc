#include "tests/interop/kernel/guest.h"

#include <chrono>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "tests/interop/kernel/data_disk.h"
#include "tests/interop/kernel/process.h"

namespace dmcached {
namespace {

constexpr auto kTimeout = std::chrono::minutes(5);

// Without these an emulated processor takes twice as long to boot.
constexpr char kKernelArguments[] =
    "console=ttyS1 quiet panic=-1 oops=panic mitigations=off nokaslr tsc=reliable random.trust_cpu=on no_timer_check "
    "cryptomgr.notests";

}  // namespace

std::vector<std::string> Guest::Command(const std::string& console) const {
  // `max`: the default processor lacks instructions that Debian's modules use.  Panics end the machine (-no-reboot).
  std::vector<std::string> command = {"qemu-system-x86_64",
                                      "-nodefaults",
                                      "-no-user-config",
                                      "-display",
                                      "none",
                                      "-no-reboot",
                                      "-machine",
                                      "q35",
                                      "-accel",
                                      "tcg",
                                      "-cpu",
                                      "max",
                                      "-smp",
                                      "1",
                                      "-m",
                                      "256",
                                      "-kernel",
                                      system_folder_ + "/vmlinux",
                                      "-initrd",
                                      system_folder_ + "/initrd",
                                      "-append",
                                      absl::StrCat(kKernelArguments, " disks=", disks_.size() + 1),
                                      "-serial",
                                      "stdio",
                                      "-serial",
                                      "file:" + console};
  auto add = [&](const std::string& name, const std::string& path) {
    // cache=unsafe: flushes are not passed on.  The images live in this machine's page cache, and a power cut of the
    // guest loses only what the guest has not written.
    command.insert(command.end(), {"-drive", absl::StrCat("if=none,id=", name, ",format=raw,cache=unsafe,file=", path),
                                   "-device", absl::StrCat("virtio-blk-pci,drive=", name, ",serial=", name)});
  };
  add("script", work_folder_ + "/script");
  for (const auto& [name, path] : disks_) add(name, path);
  return command;
}

absl::StatusOr<GuestReport> Guest::Run(const std::string& script) {
  const std::string console = work_folder_ + "/console";
  const std::string errors = work_folder_ + "/qemu-errors";
  std::filesystem::remove(console);
  std::string text =
      absl::StrCat("BLOCK_SECTORS=", kDataBlockSectors, "\n", FileText(DMCACHED_GUEST_FUNCTIONS), "\n", script);
  text.resize((text.size() + 511) / 512 * 512, '\n');  // A disk consists of whole sectors.
  std::ofstream(work_folder_ + "/script", std::ios::binary) << text;

  GuestReport report;
  Process qemu(Command(console), errors);
  const auto deadline = std::chrono::steady_clock::now() + kTimeout;
  std::optional<std::string> ended;
  while (!ended.has_value() && !report.power_cut) {
    const std::optional<std::string> line = qemu.ReadLine(deadline);
    if (!line.has_value()) break;
    absl::string_view words = *line;
    if (!absl::ConsumePrefix(&words, "@ ")) {
      report.lines.push_back("broken: the script printed: " + *line);
    } else if (words == "cut") {
      qemu.End(SIGKILL);
      report.power_cut = true;
    } else if (absl::ConsumePrefix(&words, "end ")) {
      ended = std::string(words);
    } else {
      report.lines.emplace_back(words);
    }
  }
  if (ended.has_value()) {
    while (qemu.ReadLine(deadline).has_value()) {  // Until it has powered off.
    }
  }
  report.kernel_log = FileText(console);
  if (report.power_cut || ended == "0") return report;
  return absl::InternalError(absl::StrCat("the guest ", ended.has_value() ? "script failed: " + *ended : "died", "\n",
                                          LastWords(FileText(errors)), LastWords(report.kernel_log)));
}

}  // namespace dmcached
