#include "client/cli/metrics_page.h"

#include <array>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "civetweb.h"

namespace dmcached::cli {
namespace {

constexpr int kTimeoutMs = 5000;
constexpr size_t kMaxPageBytes = 64 << 20;

// The value of the label `cache` in what stands between the braces.
std::string CacheLabel(absl::string_view labels) {
  constexpr absl::string_view kLabel = "cache=\"";
  // Other labels end in these letters, too.
  const size_t at = absl::StartsWith(labels, kLabel) ? 0 : labels.find(absl::StrCat(",", kLabel));
  if (at == absl::string_view::npos) return {};
  labels.remove_prefix(at + (at == 0 ? 0 : 1) + kLabel.size());
  return std::string(labels.substr(0, labels.find('"')));
}

absl::Status Unavailable(const MetricsUrl& url, absl::string_view why) {
  return absl::UnavailableError(absl::StrCat("http://", url.host, ":", url.port, url.path, ": ", why));
}

}  // namespace

absl::StatusOr<MetricsUrl> ParseMetricsUrl(const std::string& text) {
  absl::string_view rest = text;
  absl::ConsumePrefix(&rest, "http://");
  MetricsUrl url;
  if (const size_t slash = rest.find('/'); slash != absl::string_view::npos) {
    url.path = std::string(rest.substr(slash));
    rest = rest.substr(0, slash);
  }
  const size_t colon = rest.rfind(':');
  const bool has_port = colon != absl::string_view::npos && absl::SimpleAtoi(rest.substr(colon + 1), &url.port);
  url.host = std::string(rest.substr(0, colon));
  if (absl::StartsWith(url.host, "[") && absl::EndsWith(url.host, "]"))
    url.host = url.host.substr(1, url.host.size() - 2);
  if (has_port && url.port > 0 && url.port < 65536 && !url.host.empty()) return url;
  return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" is not HOST:PORT or http://HOST:PORT/PATH"));
}

MetricsPage MetricsPage::Parse(const std::string& text) {
  MetricsPage page;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    Sample sample;
    const size_t space = line.rfind(' ');
    if (space == absl::string_view::npos || !absl::SimpleAtod(line.substr(space + 1), &sample.value)) continue;
    const absl::string_view series = line.substr(0, space);
    const size_t brace = series.find('{');
    sample.name = std::string(series.substr(0, brace));
    if (brace != absl::string_view::npos) sample.cache = CacheLabel(series.substr(brace + 1));
    page.samples_.push_back(std::move(sample));
  }
  return page;
}

absl::StatusOr<MetricsPage> MetricsPage::Fetch(const MetricsUrl& url) {
  std::array<char, 256> error = {};
  const std::unique_ptr<mg_connection, void (*)(mg_connection*)> connection(
      mg_connect_client(url.host.c_str(), url.port, /*use_ssl=*/0, error.data(), error.size()), mg_close_connection);
  if (connection == nullptr) return Unavailable(url, error.data());
  // HTTP/1.0: the body is not chunked and ends with the connection.
  mg_printf(connection.get(), "GET %s HTTP/1.0\r\nHost: %s:%d\r\n\r\n", url.path.c_str(), url.host.c_str(), url.port);
  if (mg_get_response(connection.get(), error.data(), error.size(), kTimeoutMs) < 0) {
    return Unavailable(url, error.data());
  }
  const int code = mg_get_response_info(connection.get())->status_code;
  if (code != 200) return Unavailable(url, absl::StrCat("the answer is HTTP ", code));
  std::string text;
  std::array<char, 65536> buffer;
  for (int got = 0; (got = mg_read(connection.get(), buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(got));
    if (text.size() > kMaxPageBytes) return Unavailable(url, "the answer does not end");
  }
  return Parse(text);
}

std::optional<double> MetricsPage::Sum(const std::string& name, const std::string& cache) const {
  std::optional<double> sum;
  for (const Sample& sample : samples_) {
    if (sample.name == name && (cache.empty() || sample.cache == cache)) sum = sum.value_or(0) + sample.value;
  }
  return sum;
}

}  // namespace dmcached::cli
