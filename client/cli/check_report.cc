#include "client/cli/check_report.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/cli/report.h"

namespace dmcached::cli {
namespace {

const char* Word(client::CheckSeverity severity) {
  switch (severity) {
    case client::CheckSeverity::kNote:
      return "note";
    case client::CheckSeverity::kRepairable:
      return "repairable";
    case client::CheckSeverity::kFatal:
      return "fatal";
    case client::CheckSeverity::kUnknown:
      break;
  }
  return "unknown";
}

Json ToJson(const client::CheckFinding& finding) {
  Json json = {{"kind", finding.kind}, {"severity", Word(finding.severity)}};
  if (finding.block) json["block"] = *finding.block;
  if (finding.cblocks) json["cblocks"] = {finding.cblocks->begin, finding.cblocks->end};
  json["mappings"] = finding.mappings;
  json["dirty"] = finding.dirty;
  json["places"] = finding.places;
  json["message"] = finding.message;
  return json;
}

Json ToJson(const client::CheckSummary& summary) {
  return {{"noteCount", summary.notes},
          {"repairableCount", summary.repairable},
          {"fatalCount", summary.fatal},
          {"cacheBlocks", summary.cache_blocks},
          {"mappedCount", summary.mapped},
          {"dirtyCount", summary.dirty},
          {"metadataBlockCount", summary.metadata_blocks},
          {"readBlockCount", summary.read_blocks},
          {"usedBlockCount", summary.used_blocks},
          {"leakedBlockCount", summary.leaked_blocks},
          {"cleanShutdown", summary.clean_shutdown},
          {"needsCheck", summary.needs_check},
          {"needsCheckCleared", summary.needs_check_cleared}};
}

std::string Verdict(const client::CheckSummary& summary) {
  if (summary.fatal > 0) {
    return absl::StrCat("DAMAGED: ", Count(summary.fatal, "fatal finding"), ", ", summary.repairable, " repairable, ",
                        Count(summary.notes, "note"));
  }
  if (summary.repairable > 0) {
    return absl::StrCat("sound, but for ", Count(summary.repairable, "repairable finding"), "; ",
                        Count(summary.notes, "note"));
  }
  return absl::StrCat("sound; ", Count(summary.notes, "note"));
}

}  // namespace

CheckReport::CheckReport(Session& session, std::string what)
    : session_(session),
      what_(std::move(what)),
      progress_(session.err, session.progress_style(), absl::StrCat("metadata blocks of ", what_)) {}

client::CheckCallbacks CheckReport::callbacks() {
  return {.on_progress =
              [this](uint64_t done, uint64_t total) {
                progress_.Update(done, total == 0 ? 1.0 : static_cast<double>(done) / static_cast<double>(total));
              },
          .on_finding = [this](const client::CheckFinding& finding) { PrintFinding(finding); }};
}

void CheckReport::PrintFinding(const client::CheckFinding& finding) {
  if (session_.json) return PrintJson(session_, ToJson(finding));
  progress_.Clear();
  session_.out << Word(finding.severity) << ' ' << finding.kind << ": " << finding.message;
  if (finding.cblocks) {
    session_.out << " (cblocks " << finding.cblocks->begin << '-' << finding.cblocks->end - 1 << ", at most "
                 << Count(finding.mappings, "mapping") << ", " << finding.dirty << " dirty)";
  }
  session_.out << std::endl;
}

void CheckReport::Finish(const client::CheckSummary& summary) {
  if (summary.fatal > 0) {
    session_.exit_code = kExitFatal;
  } else if (summary.repairable > 0) {
    session_.exit_code = kExitRepairable;
  }
  if (session_.json) return PrintJson(session_, Json::object({{"summary", ToJson(summary)}}));
  progress_.Clear();
  session_.out << what_ << " is " << Verdict(summary) << "\n"
               << summary.mapped << " of " << summary.cache_blocks << " cache blocks mapped, " << summary.dirty
               << " dirty; " << summary.used_blocks << " of " << summary.metadata_blocks << " metadata blocks used, "
               << summary.leaked_blocks << " leaked, " << summary.read_blocks << " read\n";
  if (summary.needs_check_cleared) {
    session_.out << "needs_check is cleared\n";
  } else if (summary.needs_check) {
    session_.out << "needs_check is set\n";
  }
}

}  // namespace dmcached::cli
