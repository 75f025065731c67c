#include "server/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

absl::Status Parse(const std::string& text) {
  Config config;
  return ParseConfig("c.json", text, config);
}

TEST(ConfigTest, ReadsEveryKey) {
  Config config;
  ASSERT_THAT(ParseConfig("c.json", R"({
    "listen": ["unix:/tmp/a.sock", "127.0.0.1:0"], "insecure_loopback": true, "metrics": "127.0.0.1:0",
    "commit_interval_ms": 5, "max_reservation_ttl_ms": 6, "recover_interval_ms": 0, "block_cache_bytes": 2097152,
    "caches": [{"name": "a", "metadata": "/m", "fast": "/f", "origin": "/o", "read_only": true,
                "dirty_tracking": "conservative"}, {"name": "b", "metadata": "/n"}]})",
                          config),
              IsOk());
  EXPECT_THAT(config.listen, testing::ElementsAre("unix:/tmp/a.sock", "127.0.0.1:0"));
  EXPECT_TRUE(config.insecure_loopback);
  EXPECT_EQ(config.metrics, "127.0.0.1:0");
  EXPECT_EQ(config.commit_interval_ms, 5u);
  EXPECT_EQ(config.max_reservation_ttl_ms, 6u);
  EXPECT_EQ(config.recover_interval_ms, 0u);
  EXPECT_EQ(config.block_cache_bytes, 2097152u);
  ASSERT_EQ(config.caches.size(), 2u);
  EXPECT_EQ(config.caches[0].name, "a");
  EXPECT_EQ(config.caches[0].metadata, "/m");
  EXPECT_EQ(config.caches[0].fast, "/f");
  EXPECT_EQ(config.caches[0].origin, "/o");
  EXPECT_TRUE(config.caches[0].read_only);
  EXPECT_EQ(config.caches[0].dirty_tracking, DirtyTracking::kConservative);
  EXPECT_EQ(config.caches[1].dirty_tracking, DirtyTracking::kExact);
  EXPECT_THAT(CheckConfig(config), IsOk());
}

TEST(ConfigTest, ReadsWhoMayCall) {
  Config config;
  ASSERT_THAT(ParseConfig("c.json", R"({
    "listen": ["0.0.0.0:7443"], "socket_mode": "0600", "socket_group": "disk",
    "tls": {"certificate": "/c", "key": "/k", "client_ca": "/a"}, "unix_role": "reader",
    "roles": [{"identity": "spiffe://x/y", "role": "operator", "caches": ["a*"]}, {"identity": "z", "role": "admin"}],
    "allowed_paths": ["/dev/*"], "audit_unix": true,
    "limits": {"streams_per_connection": 3, "handshake_timeout_ms": 4, "calls_per_identity": 5, "connections": 6}})",
                          config),
              IsOk());
  EXPECT_THAT(CheckConfig(config), IsOk());
  EXPECT_EQ(config.socket_mode, 0600u);
  EXPECT_EQ(config.socket_group, "disk");
  ASSERT_TRUE(config.tls.has_value());
  EXPECT_EQ(config.tls->certificate + config.tls->key + config.tls->client_ca, "/c/k/a");
  EXPECT_EQ(config.unix_role, Role::kReader);
  ASSERT_EQ(config.roles.size(), 2u);
  EXPECT_EQ(config.roles[0].identity, "spiffe://x/y");
  EXPECT_EQ(config.roles[0].role, Role::kOperator);
  EXPECT_THAT(config.roles[0].caches, testing::ElementsAre("a*"));
  EXPECT_EQ(config.roles[1].role, Role::kAdmin);
  EXPECT_THAT(config.roles[1].caches, testing::ElementsAre("*"));
  EXPECT_EQ(config.allowed_paths, std::vector<std::string>{"/dev/*"});
  EXPECT_TRUE(config.audit_unix);
  EXPECT_EQ(config.limits.streams_per_connection, 3u);
  EXPECT_EQ(config.limits.handshake_timeout_ms, 4u);
  EXPECT_EQ(config.limits.calls_per_identity, 5u);
  EXPECT_EQ(config.limits.connections, 6u);
}

TEST(ConfigTest, WhoMayCallMustBeSaidRight) {
  for (const auto& [text, message] : std::vector<std::pair<std::string, std::string>>{
           {R"({"tls": {"certificate": "/c", "key": "/k"}})", "tls.client_ca is missing"},
           {R"({"tls": {"certificate": "c", "key": "/k", "client_ca": "/a"}})", "tls.certificate \"c\" is not an abs"},
           {R"({"tls": {"cert": "/c"}})", "unknown key tls.cert"},
           {R"({"tls": true})", "tls must be an object"},
           {R"({"unix_role": "root"})", "unix_role must be \"reader\", \"operator\" or \"admin\", not \"root\""},
           {R"({"roles": [{"role": "reader"}]})", "roles[0].identity is missing"},
           {R"({"roles": [{"identity": "a"}]})", "roles[0].role is missing"},
           {R"({"roles": [{"identity": "a", "role": "none"}]})", "roles[0].role"},
           {R"({"roles": [{"identity": "a", "role": "admin", "caches": "b"}]})", "roles[0].caches must be an array"},
           {R"({"socket_mode": "0999"})", "socket_mode must be"},
           {R"({"socket_mode": 432})", "socket_mode must be a string"},
           {R"({"allowed_paths": ["dev/*"]})", "allowed_paths: \"dev/*\" is not an absolute path"},
           {R"({"limits": {"handshake_timeout_ms": 0}})", "limits.handshake_timeout_ms is 0"}}) {
    Config config;
    absl::Status status = ParseConfig("c.json", text, config);
    if (status.ok()) status = CheckConfig(config);
    EXPECT_THAT(Message(status), HasSubstr(message)) << text;
  }
}

TEST(ConfigTest, WhatIsMissingKeepsItsDefault) {
  Config config;
  ASSERT_THAT(ParseConfig("c.json", "{}", config), IsOk());
  EXPECT_THAT(config.listen, testing::ElementsAre("unix:/run/dmcached/dmcached.sock"));
  EXPECT_EQ(config.commit_interval_ms, 1000u);
  EXPECT_THAT(CheckConfig(config), IsOk());
}

TEST(ConfigTest, ANumberTooLargeForAnythingIsAnErrorToo) {
  EXPECT_THAT(Message(Parse("{\"commit_interval_ms\": 1.5e310}")),
              testing::AllOf(HasSubstr("c.json: "), HasSubstr("1.5e310")));
}

TEST(ConfigTest, SyntaxErrorsNameFileLineAndColumn) {
  EXPECT_THAT(Message(Parse("{\n  \"listen\": [,]\n}")), testing::AllOf(HasSubstr("c.json: "), HasSubstr("line 2")));
  EXPECT_THAT(Message(Parse("{\n  \"listen\": [,]\n}")), HasSubstr("column 14"));
  EXPECT_THAT(Parse(""), HasReasonIs(Reason::kInvalidRequest));
}

TEST(ConfigTest, WrongKeysAndTypesNameTheirPath) {
  const std::pair<const char*, const char*> cases[] = {
      {"[]", "c.json: the file must hold one JSON object"},
      {R"({"lisen": []})", "c.json: unknown key lisen"},
      {R"({"listen": "unix:/a"})", "c.json: listen must be an array"},
      {R"({"listen": ["unix:/a", 3]})", "c.json: listen[1] must be a string"},
      {R"({"insecure_loopback": 1})", "c.json: insecure_loopback must be true or false"},
      {R"({"metrics": true})", "c.json: metrics must be a string"},
      {R"({"commit_interval_ms": -1})", "c.json: commit_interval_ms must be a whole number that is not negative"},
      {R"({"commit_interval_ms": 1.5})", "c.json: commit_interval_ms must be a whole number that is not negative"},
      {R"({"caches": [{"name": "a"}, 7]})", "c.json: caches[1] must be an object"},
      {R"({"caches": [{"metdata": "/m"}]})", "c.json: unknown key caches[0].metdata"},
      {R"({"caches": [{"read_only": "yes"}]})", "c.json: caches[0].read_only must be true or false"},
      {R"({"caches": [{"dirty_tracking": "lazy"}]})",
       "c.json: caches[0].dirty_tracking must be \"exact\" or \"conservative\", not \"lazy\""},
      {R"({"metrics": "a", "metrics": "b"})", "c.json: key metrics is given twice in one object"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(Message(Parse(text)), message) << text;
}

TEST(ConfigTest, ValuesOutOfRangeAreRefused) {
  const auto check = [](auto&& change) {
    Config config;
    change(config);
    return Message(CheckConfig(config));
  };
  EXPECT_THAT(check([](Config& c) { c.commit_interval_ms = 0; }), HasSubstr("commit_interval_ms is 0"));
  EXPECT_THAT(check([](Config& c) { c.max_reservation_ttl_ms = 3600001; }), HasSubstr("max_reservation_ttl_ms"));
  EXPECT_THAT(check([](Config& c) { c.recover_interval_ms = 300001; }), HasSubstr("recover_interval_ms"));
  EXPECT_THAT(check([](Config& c) { c.block_cache_bytes = 1048575; }), HasSubstr("block_cache_bytes"));
  EXPECT_THAT(check([](Config& c) { c.metrics = "nowhere"; }), HasSubstr("metrics: address \"nowhere\""));
  EXPECT_THAT(check([](Config& c) { c.listen = {}; }), HasSubstr("listen is empty"));
  EXPECT_THAT(check([](Config& c) { c.listen = {"unix:/a", "unix:/a"}; }), HasSubstr("twice"));
}

TEST(ConfigTest, TcpNeedsInsecureLoopbackAndALoopbackAddress) {
  Config config;
  config.listen = {"127.0.0.1:0"};
  EXPECT_THAT(Message(CheckConfig(config)), HasSubstr("without TLS"));
  config.insecure_loopback = true;
  EXPECT_THAT(CheckConfig(config), IsOk());
  config.listen = {"10.0.0.1:0"};
  EXPECT_THAT(Message(CheckConfig(config)), HasSubstr("not a loopback address"));
  config.listen = {"127.0.0.1:0", "127.0.0.1:0"};  // Two free ports are two addresses.
  EXPECT_THAT(CheckConfig(config), IsOk());
}

TEST(ConfigTest, CachesNeedUniqueGoodNamesAndAbsolutePaths) {
  const auto check = [](std::vector<CacheConfig> caches) {
    Config config;
    config.caches = std::move(caches);
    return Message(CheckConfig(config));
  };
  const auto cache = [](const char* name, const char* metadata) {
    CacheConfig config;
    config.name = name;
    config.metadata = metadata;
    return config;
  };
  EXPECT_THAT(check({cache("a", "/m"), cache("a", "/n")}),
              HasSubstr("caches[1].name: there are two caches named \"a\""));
  EXPECT_THAT(check({cache("A", "/m")}), HasSubstr("caches[0].name: "));
  EXPECT_THAT(check({cache("a", "")}), HasSubstr("caches[0].metadata is missing"));
  EXPECT_THAT(check({cache("a", "m")}), HasSubstr("caches[0].metadata \"m\" is not an absolute path"));
}

TEST(ConfigTest, ReadsAFileAndSaysWhichOneIsMissing) {
  TempDir folder;
  std::ofstream(folder.File("c.json")) << R"({"commit_interval_ms": 7})";
  Config config;
  ASSERT_THAT(ReadConfigFile(folder.File("c.json"), config), IsOk());
  EXPECT_EQ(config.commit_interval_ms, 7u);
  EXPECT_THAT(Message(ReadConfigFile(folder.File("none.json"), config)),
              testing::AllOf(HasSubstr(folder.File("none.json")), HasSubstr("No such file")));
}

}  // namespace
}  // namespace dmcached
