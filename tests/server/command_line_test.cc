#include "server/command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <vector>

#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct Parsed {
  CommandLineResult result;
  std::string out;
  std::string err;
};

Parsed Parse(const std::vector<std::string>& arguments) {
  std::vector<const char*> argv = {"dmcached"};
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  std::ostringstream out;
  std::ostringstream err;
  CommandLineResult result = ParseCommandLine(static_cast<int>(argv.size()), argv.data(), out, err);
  return {std::move(result), out.str(), err.str()};
}

TEST(CommandLineTest, NoFlagsMeanTheDefaults) {
  const Parsed parsed = Parse({});
  EXPECT_FALSE(parsed.result.exit_code.has_value()) << parsed.err;
  EXPECT_THAT(parsed.result.config.listen, ElementsAre("unix:/run/dmcached/dmcached.sock"));
  EXPECT_EQ(parsed.result.config.metrics, "");
}

TEST(CommandLineTest, ListenMayBeRepeated) {
  const Parsed parsed = Parse({"--listen", "unix:/a", "--listen", "127.0.0.1:0", "--insecure-loopback"});
  EXPECT_FALSE(parsed.result.exit_code.has_value()) << parsed.err;
  EXPECT_THAT(parsed.result.config.listen, ElementsAre("unix:/a", "127.0.0.1:0"));
}

TEST(CommandLineTest, FlagsWinOverTheFile) {
  TempDir folder;
  std::ofstream(folder.File("c.json"))
      << R"({"listen": ["unix:/file"], "commit_interval_ms": 7, "recover_interval_ms": 8})";
  const Parsed parsed =
      Parse({"--config", folder.File("c.json"), "--commit-interval-ms", "9", "--listen", "unix:/flag"});
  ASSERT_FALSE(parsed.result.exit_code.has_value()) << parsed.err;
  EXPECT_THAT(parsed.result.config.listen, ElementsAre("unix:/flag"));
  EXPECT_EQ(parsed.result.config.commit_interval_ms, 9u);
  EXPECT_EQ(parsed.result.config.recover_interval_ms, 8u);
}

TEST(CommandLineTest, HelpAndVersionEndWithSuccess) {
  const Parsed help = Parse({"--help"});
  EXPECT_EQ(help.result.exit_code, kExitOk);
  EXPECT_THAT(help.out, testing::AllOf(HasSubstr("--listen"), HasSubstr("Example:")));
  const Parsed version = Parse({"--version"});
  EXPECT_EQ(version.result.exit_code, kExitOk);
  EXPECT_THAT(version.out, testing::StartsWith("dmcached "));
}

TEST(CommandLineTest, WrongInputIsOneSentenceAndExitCodeTwo) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--lisen", "unix:/a"},
                                                    {"--listen"},
                                                    {"--listen", "10.0.0.1:1"},
                                                    {"--listen", "127.0.0.1:1"},
                                                    {"--commit-interval-ms", "soon"},
                                                    {"--commit-interval-ms", "0"},
                                                    {"--config", "/does/not/exist"},
                                                    {"--metrics", "9464"},
                                                    {"extra"}}) {
    const Parsed parsed = Parse(arguments);
    EXPECT_EQ(parsed.result.exit_code, kExitUsage) << arguments[0];
    EXPECT_EQ(parsed.out, "");
    EXPECT_THAT(parsed.err, testing::StartsWith("dmcached: "));
    EXPECT_EQ(std::count(parsed.err.begin(), parsed.err.end(), '\n'), 1) << parsed.err;
  }
}

}  // namespace
}  // namespace dmcached
