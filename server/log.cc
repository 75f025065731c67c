#include "server/log.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "grpc/support/log.h"
#include "server/status_util.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace dmcached {
namespace {

// UTC, so that lines of different machines sort.
constexpr char kPattern[] = "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v";

// Callers choose some of the values.
constexpr size_t kMaxValueBytes = 2048;

bool IsPlain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte > 0x20 && byte != 0x7f && c != '"' && c != '=' && c != '\\';
}

std::string Line(std::string_view event, Log::Fields fields) {
  std::string line = "event=" + LogValue(event);
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    line += LogValue(CutText(value, kMaxValueBytes));
  }
  return line;
}

// gRPC takes a plain function, so its logger cannot come in through a constructor.
void OnGrpcMessage(gpr_log_func_args* args) {
  static const Log log;
  log.Error("grpc", {{"at", absl::StrCat(args->file, ":", args->line)}, {"message", args->message}});
}

}  // namespace

std::string LogValue(std::string_view value) {
  bool plain = !value.empty();
  for (const char c : value) plain = plain && IsPlain(c);
  if (plain) return std::string(value);
  std::string quoted = "\"";
  for (const char c : value) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (c == '\t') {
      quoted += "\\t";
    } else if (byte < 0x20 || byte == 0x7f) {
      absl::StrAppend(&quoted, "\\x", absl::Hex(byte, absl::kZeroPad2));
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

Log::Log() {
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  logger_ = std::make_shared<spdlog::logger>("dmcached", std::move(sink));
  logger_->set_pattern(kPattern, spdlog::pattern_time_type::utc);
}

Log::Log(std::shared_ptr<spdlog::logger> logger) : logger_(std::move(logger)) {}

void Log::Info(std::string_view event, Fields fields) const { logger_->info("{}", Line(event, fields)); }

void Log::Warning(std::string_view event, Fields fields) const { logger_->warn("{}", Line(event, fields)); }

void Log::Error(std::string_view event, Fields fields) const { logger_->error("{}", Line(event, fields)); }

void LogGrpcMessages() {
  if (std::getenv("GRPC_VERBOSITY") == nullptr) gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  gpr_set_log_function(OnGrpcMessage);
}

std::string ErrorText(const absl::Status& status) {
  const std::optional<Reason> reason = ReasonOf(status);
  const absl::string_view name = reason.has_value() ? ReasonName(*reason) : absl::string_view("UNSPECIFIED");
  return absl::StrCat(name, ": ", status.message());
}

}  // namespace dmcached
