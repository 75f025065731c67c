#include "server/tls_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>

#include "tests/support/matchers.h"
#include "tests/support/pki.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

const TlsConfig kNames = {"/tls.crt", "/tls.key", "/ca.crt"};

class TlsFilesTest : public testing::Test {
 protected:
  // The sentence about `files`; empty: they are good.
  static std::string Why(const TlsFiles& files) {
    const absl::StatusOr<double> checked = CheckTlsFiles(kNames, files);
    return std::string(checked.status().message());
  }

  const Authority authority_{"ca"};
  const Pair one_ = authority_.Issue({.common_name = "one"});
  const Pair two_ = authority_.Issue({.common_name = "two"});
};

TEST_F(TlsFilesTest, AGoodPairSaysWhenItIsOver) {
  const absl::StatusOr<double> expiry = CheckTlsFiles(kNames, {one_.certificate, one_.key, authority_.certificate()});
  ASSERT_TRUE(expiry.ok()) << expiry.status();
  EXPECT_NEAR(*expiry, static_cast<double>(std::time(nullptr)) + 3600, 60);
  EXPECT_EQ(Why({one_.certificate + authority_.certificate(), one_.key, authority_.certificate()}), "");
}

TEST_F(TlsFilesTest, EachFileThatIsWrongIsNamed) {
  const std::string& ca = authority_.certificate();
  EXPECT_THAT(Why({one_.certificate, two_.key, ca}), HasSubstr("/tls.key is not the key of /tls.crt"));
  EXPECT_THAT(Why({"", one_.key, ca}), HasSubstr("/tls.crt holds no certificate"));
  EXPECT_THAT(Why({one_.key, one_.key, ca}), HasSubstr("/tls.crt holds no certificate"));
  EXPECT_THAT(Why({one_.certificate, "", ca}), HasSubstr("/tls.key holds no private key"));
  EXPECT_THAT(Why({one_.certificate, one_.key, ""}), HasSubstr("/ca.crt holds no certificate"));
  EXPECT_THAT(Why({one_.certificate.substr(0, 300), one_.key, ca}), HasSubstr("/tls.crt holds no certificate"));
  EXPECT_THAT(Why({one_.certificate + two_.certificate.substr(0, 300), one_.key, ca}),
              HasSubstr("certificate 2 of /tls.crt is broken"));
}

TEST_F(TlsFilesTest, AFileThatIsNotThereIsNamed) {
  const absl::StatusOr<TlsFiles> files = ReadTlsFiles({"/does/not/exist", "/k", "/c"});
  EXPECT_THAT(std::string(files.status().message()), HasSubstr("/does/not/exist: No such file"));
}

}  // namespace
}  // namespace dmcached
