#include "client/cli/progress.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace dmcached::cli {
namespace {

constexpr std::chrono::seconds kBetweenLines{5};
constexpr size_t kBarWidth = 30;

int Percent(double fraction) { return static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100); }

}  // namespace

Progress::Progress(std::ostream& err, Style style, std::string what, Now now)
    : err_(err), style_(style), what_(std::move(what)), now_(std::move(now)), next_line_(now_() + kBetweenLines) {}

Progress::~Progress() { Clear(); }

void Progress::Clear() {
  if (drawn_ > 0) err_ << '\r' << std::string(drawn_, ' ') << '\r' << std::flush;
  drawn_ = 0;
}

void Progress::Update(uint64_t done, std::optional<double> fraction) {
  if (style_ == Style::kBar) return DrawBar(done, fraction);
  if (style_ == Style::kNone || now_() < next_line_) return;
  next_line_ = now_() + kBetweenLines;
  err_ << done << ' ' << what_;
  if (fraction) err_ << ", " << Percent(*fraction) << "%";
  err_ << std::endl;
}

void Progress::DrawBar(uint64_t done, std::optional<double> fraction) {
  std::string text;
  if (fraction) {
    const auto full = std::min(kBarWidth, static_cast<size_t>(Percent(*fraction)) * kBarWidth / 100);
    text =
        absl::StrCat("[", std::string(full, '#'), std::string(kBarWidth - full, '.'), "] ", Percent(*fraction), "% ");
  }
  absl::StrAppend(&text, done, " ", what_);
  const std::string rest(drawn_ > text.size() ? drawn_ - text.size() : 0, ' ');
  err_ << '\r' << text << rest << std::flush;
  drawn_ = std::max(drawn_, text.size());
}

}  // namespace dmcached::cli
