#include "server/log.h"

#include <gtest/gtest.h>

#include <memory>
#include <sstream>

#include "spdlog/sinks/ostream_sink.h"

namespace dmcached {
namespace {

TEST(LogTest, ValuesThatCouldBreakALineAreQuoted) {
  EXPECT_EQ(LogValue("/dev/vg/meta"), "/dev/vg/meta");
  EXPECT_EQ(LogValue(""), "\"\"");
  EXPECT_EQ(LogValue("two words"), "\"two words\"");
  EXPECT_EQ(LogValue("a=b"), "\"a=b\"");
  EXPECT_EQ(LogValue("say \"x\" \\"), "\"say \\\"x\\\" \\\\\"");
  EXPECT_EQ(LogValue("a\nevent=fake\t\x01"), "\"a\\nevent=fake\\t\\x01\"");
}

TEST(LogTest, OneEventIsOneLine) {
  std::ostringstream out;
  auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  logger->set_pattern("%l %v");
  const Log log(logger);
  log.Warning("cache_open_failed", {{"cache", "c"}, {"error", "IO_ERROR: read\nfailed {}"}});
  EXPECT_EQ(out.str(), "warning event=cache_open_failed cache=c error=\"IO_ERROR: read\\nfailed {}\"\n");
}

TEST(LogTest, AValueThatACallerMadeLongIsCut) {
  std::ostringstream out;
  auto logger = std::make_shared<spdlog::logger>("test", std::make_shared<spdlog::sinks::ostream_sink_mt>(out));
  Log(logger).Warning("denied", {{"cache", std::string(1 << 22, '\x01')}, {"error", "why"}});
  EXPECT_LT(out.str().size(), 10000u);
  EXPECT_TRUE(out.str().ends_with(" error=why\n"));
}

}  // namespace
}  // namespace dmcached
