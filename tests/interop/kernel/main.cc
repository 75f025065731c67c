// kernel_handovers SYSTEM_FOLDER [--handovers N]
//
// Hands caches over between dmcached and a real kernel's dm-cache, N times each way, and prints what was compared.
// SYSTEM_FOLDER was filled by setup.sh; run.sh does both.  DMCACHED_TEST_SEED repeats a run.
// Exit code 0 if nothing differed.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/numbers.h"
#include "tests/interop/kernel/findings.h"
#include "tests/interop/kernel/handovers.h"
#include "tests/support/random.h"

namespace dmcached {
namespace {

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

unsigned long long ToPrint(uint64_t number) { return number; }

int Run(const std::string& system_folder, int count) {
  const auto begin = std::chrono::steady_clock::now();
  Findings findings;
  Handovers handovers(system_folder, TestSeed(), findings);
  int done = 0;
  while (done < count) {
    const auto round_begin = std::chrono::steady_clock::now();
    const absl::Status status = handovers.Next();
    if (!status.ok()) {
      std::printf("%s\n", status.ToString().c_str());
      return 1;
    }
    std::printf("handover %d: %.1f s, %llu differences so far\n", ++done, SecondsSince(round_begin),
                ToPrint(findings.differences()));
    std::fflush(stdout);
  }
  handovers.Finish();
  const HandoverFigures& figures = handovers.figures();
  auto row = [](const char* what, uint64_t number) { std::printf("%-44s %10llu\n", what, ToPrint(number)); };
  row("handovers in a row", static_cast<uint64_t>(done));
  row("boots of the guest", figures.boots);
  row("activations of a cache by the kernel", figures.activations);
  row("mapped blocks that the kernel took over", figures.mapped_blocks);
  row("dirty ones among them", figures.dirty_blocks);
  row("blocks that the cleaner wrote back", figures.written_back);
  row("dirty blocks it left out, being discarded", figures.not_written_back);
  row("power cuts of the guest", figures.power_cuts);
  row("unclean caches adopted by dmcached", figures.adoptions);
  row("kill -9 of dmcached", figures.daemon_kills);
  row("durable marks answered while it was coming", figures.marks_under_kill);
  row("clean closes by dmcached", figures.clean_closes);
  row("data blocks of 32 KiB compared", findings.data_blocks());
  row("other comparisons", findings.comparisons());
  row("differences", findings.differences());
  // For those who read one line only.
  std::printf("kernel: %d handovers, %llu boots, %llu activations, %llu blocks compared, %llu differences, %.0f s\n",
              done, ToPrint(figures.boots), ToPrint(figures.activations), ToPrint(findings.data_blocks()),
              ToPrint(findings.differences()), SecondsSince(begin));
  return findings.differences() == 0 ? 0 : 1;
}

}  // namespace
}  // namespace dmcached

int main(int argc, char** argv) {
  int handovers = 1;
  const bool counted = argc == 4 && std::string(argv[2]) == "--handovers" && absl::SimpleAtoi(argv[3], &handovers);
  if ((argc != 2 && !counted) || handovers < 1) {
    std::fprintf(stderr, "usage: %s SYSTEM_FOLDER [--handovers N]\n", argv[0]);
    return 2;
  }
  return dmcached::Run(argv[1], handovers);
}
