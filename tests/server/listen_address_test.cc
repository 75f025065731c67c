#include "server/listen_address.h"

#include <gtest/gtest.h>

#include "tests/support/matchers.h"

namespace dmcached {
namespace {

TEST(ListenAddressTest, ReadsEveryForm) {
  const auto socket = ParseListenAddress("unix:/run/x.sock");
  ASSERT_THAT(socket, IsOk());
  EXPECT_EQ(socket->unix_path, "/run/x.sock");
  EXPECT_EQ(socket->ToString(), "unix:/run/x.sock");

  const auto v4 = ParseListenAddress("127.0.0.1:50051");
  ASSERT_THAT(v4, IsOk());
  EXPECT_EQ(v4->port, 50051);
  EXPECT_TRUE(v4->is_loopback());
  EXPECT_EQ(v4->ToString(), "127.0.0.1:50051");

  const auto v6 = ParseListenAddress("[::1]:0");
  ASSERT_THAT(v6, IsOk());
  EXPECT_EQ(v6->host, "::1");
  EXPECT_TRUE(v6->is_loopback());
  EXPECT_EQ(v6->ToString(), "[::1]:0");

  const auto name = ParseListenAddress("localhost:65535");
  ASSERT_THAT(name, IsOk());
  EXPECT_EQ(name->ToString(), "127.0.0.1:65535");

  const auto outside = ParseListenAddress("10.0.0.1:1");
  ASSERT_THAT(outside, IsOk());
  EXPECT_FALSE(outside->is_loopback());
}

TEST(ListenAddressTest, RefusesEverythingElseAndNamesIt) {
  for (const std::string bad : {"", "unix:", "unix:relative", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                                "127.0.0.1:-1", "127.0.0.1:5x", "::1:50051", "[127.0.0.1]:1", "example.org:1", ":1",
                                "127.0.0.256:1", "99999999999:1", "127.0.0.1:99999999999999999999"}) {
    const auto parsed = ParseListenAddress(bad);
    EXPECT_THAT(parsed, HasReasonIs(Reason::kInvalidRequest)) << bad;
    EXPECT_NE(std::string(parsed.status().message()).find(bad), std::string::npos) << parsed.status();
  }
  EXPECT_THAT(ParseListenAddress("unix:/" + std::string(107, 'x')), HasReasonIs(Reason::kInvalidRequest));
  EXPECT_THAT(ParseListenAddress("unix:/" + std::string(106, 'x')), IsOk());
  EXPECT_THAT(ParseHostPort("unix:/run/x.sock"), HasReasonIs(Reason::kInvalidRequest));
}

}  // namespace
}  // namespace dmcached
