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

TEST(LogTest, WhatAReaderWouldNotSeeIsEscaped) {
  EXPECT_EQ(LogValue("a\u0080\u0085\u009f"), R"("a\xc2\x80\xc2\x85\xc2\x9f")");
  EXPECT_EQ(LogValue("a\u2028event=fake\u2029"), R"("a\xe2\x80\xa8event=fake\xe2\x80\xa9")");
  EXPECT_EQ(LogValue("\u202a\u202e"), R"("\xe2\x80\xaa\xe2\x80\xae")");
  EXPECT_EQ(LogValue("\u2066\u2069"), R"("\xe2\x81\xa6\xe2\x81\xa9")");
  EXPECT_EQ(LogValue("\u061c\u200e\u200f"), R"("\xd8\x9c\xe2\x80\x8e\xe2\x80\x8f")");
  EXPECT_EQ(LogValue(std::string("a\0\x7f", 3)), R"("a\x00\x7f")");
  const std::string beside = "\u00a0\u00df\u061b\u200d\u2027\u202f\u2065\u206a\u20ac\U0001f600";
  EXPECT_EQ(LogValue(beside), beside);
}

TEST(LogTest, BytesThatAreNoUtf8AreEscaped) {
  EXPECT_EQ(LogValue("a\x85z"), R"("a\x85z")");
  EXPECT_EQ(LogValue("\xc2"), R"("\xc2")");
  EXPECT_EQ(LogValue("\xc0\xaf \xed\xa0\x80 \xff"), R"("\xc0\xaf \xed\xa0\x80 \xff")");
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
  // In the middle of a character.
  std::string long_value(2047, 'a');
  long_value += "\u20ac";
  Log(logger).Warning("denied", {{"cache", long_value}});
  EXPECT_TRUE(out.str().ends_with("a\\xe2\"\n")) << out.str();
}

}  // namespace
}  // namespace dmcached
