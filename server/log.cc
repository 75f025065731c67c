#include "server/log.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "core/base/status.h"
#include "grpc/support/log.h"
#include "server/utf8.h"
#include "spdlog/sinks/stdout_sinks.h"

namespace dmcached {
namespace {

// UTC, so that lines of different machines sort.
constexpr char kPattern[] = "time=%Y-%m-%dT%H:%M:%S.%eZ level=%l %v";

// Callers choose some of the values.
constexpr size_t kMaxValueBytes = 2048;

// A value with one of these is in quotes.
constexpr std::string_view kQuoted = " \"=\\";

// From one character to another: bytes of UTF-8 are in the order of what they encode.
struct Range {
  std::string_view first;
  std::string_view last;
};

// Beyond ASCII: controls, other ends of lines, and what turns the direction of text.
constexpr Range kHidden[] = {
    {"\u0080", "\u009f"}, {"\u061c", "\u061c"}, {"\u200e", "\u200f"}, {"\u2028", "\u202e"}, {"\u2066", "\u2069"}};

// Whether a reader of the log would not see the character as it is.
bool IsHidden(std::string_view character) {
  if (character.size() == 1) return static_cast<unsigned char>(character[0]) < 0x20 || character[0] == 0x7f;
  return std::any_of(std::begin(kHidden), std::end(kHidden),
                     [&](const Range& range) { return range.first <= character && character <= range.last; });
}

std::string Line(std::string_view event, Log::Fields fields) {
  std::string line = "event=" + LogValue(event);
  for (const auto& [key, value] : fields) {
    line += ' ';
    line += key;
    line += '=';
    line += LogValue(std::string_view(value).substr(0, kMaxValueBytes));
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
  std::string quoted = "\"";
  for (std::string_view rest = value; !rest.empty();) {
    const size_t length = CharacterBytes(rest);
    const std::string_view character = rest.substr(0, std::max<size_t>(length, 1));
    rest.remove_prefix(character.size());
    const bool hidden = length == 0 || IsHidden(character);
    plain = plain && !hidden && kQuoted.find(character) == std::string_view::npos;
    if (character == "\n") {
      quoted += "\\n";
    } else if (character == "\t") {
      quoted += "\\t";
    } else if (hidden) {
      for (const char c : character) {
        absl::StrAppend(&quoted, "\\x", absl::Hex(static_cast<unsigned char>(c), absl::kZeroPad2));
      }
    } else {
      if (character == "\"" || character == "\\") quoted += '\\';
      quoted += character;
    }
  }
  return plain ? std::string(value) : quoted + '"';
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
