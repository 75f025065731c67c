// grpc.health.v1.Health, /healthz, /readyz.
#include <thread>

#include "tests/e2e/daemon.h"
#include "tests/e2e/http_get.h"

namespace dmcached {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;

class HealthTest : public DaemonTest {
 protected:
  HealthTest() {
    config_.metrics = "127.0.0.1:0";
    Start();
  }

  grpc::Status Check(const std::string& service, HealthCheckResponse* response) {
    Context context;
    HealthCheckRequest request;
    request.set_service(service);
    return health().Check(&context, request, response);
  }
  // Health follows the state of a cache within a few ticks.
  void Await(const std::string& service, HealthCheckResponse::ServingStatus status) {
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    HealthCheckResponse response;
    do {
      ASSERT_LT(std::chrono::steady_clock::now(), give_up);
      const bool known = Check(service, &response).ok();
      if (!known) response.set_status(HealthCheckResponse::SERVICE_UNKNOWN);
    } while (response.status() != status);
  }
};

TEST_F(HealthTest, ProcessAndServiceAreServing) {
  HealthCheckResponse response;
  ASSERT_THAT(Check("", &response), Succeeds());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  ASSERT_THAT(Check("dmcached.v1.CacheService", &response), Succeeds());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(Check("nobody", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(HttpGet(app().metrics_address(), "/healthz").status, 200);
  EXPECT_EQ(HttpGet(app().metrics_address(), "/readyz").status, 200);
  EXPECT_EQ(HttpGet(app().metrics_address(), "/nothing").status, 404);
}

TEST_F(HealthTest, ACacheIsServingWhileItIsOpen) {
  HealthCheckResponse response;
  EXPECT_EQ(Check("cache/c1", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  CreateStandard();
  Await("cache/c1", HealthCheckResponse::SERVING);
  ASSERT_THAT(Close(), Succeeds());
  Await("cache/c1", HealthCheckResponse::SERVICE_UNKNOWN);
}

TEST_F(HealthTest, ACacheThatCouldNotBeOpenedIsNotServing) {
  Stop();
  CacheConfig broken;
  broken.name = "broken";
  broken.metadata = folder_.File("missing");
  config_.caches.push_back(broken);
  Start();
  Await("cache/broken", HealthCheckResponse::NOT_SERVING);
}

TEST_F(HealthTest, AWatchOfANameThatNoServiceHasIsRefused) {
  Context context;
  grpc::health::v1::HealthCheckRequest request;
  request.set_service(std::string(1 << 20, 'x'));
  EXPECT_THAT(health().Watch(&context, request)->Finish(), FailsWith(Reason::kInvalidRequest));
}

TEST_F(HealthTest, AWatchSeesTheCacheComeAndGo) {
  Context context;
  HealthCheckRequest request;
  request.set_service("cache/c1");
  const auto reader = health().Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  CreateStandard();
  do {
    ASSERT_TRUE(reader->Read(&response));
  } while (response.status() == HealthCheckResponse::NOT_SERVING);  // While it was opening.
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  ASSERT_THAT(Close(), Succeeds());
  do {
    ASSERT_TRUE(reader->Read(&response));
  } while (response.status() == HealthCheckResponse::NOT_SERVING);
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  context.TryCancel();
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

TEST_F(HealthTest, AShutdownIsToldToEveryWatchAndEndsIt) {
  Context context;
  HealthCheckRequest request;
  request.set_service("dmcached.v1.CacheService");
  const auto reader = health().Watch(&context, request);
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  std::jthread stop([this] { EXPECT_TRUE(app().Shutdown().ok()); });
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  EXPECT_FALSE(reader->Read(&response));
  EXPECT_THAT(reader->Finish(), FailsWith(Reason::kShuttingDown));
}

}  // namespace
}  // namespace dmcached
