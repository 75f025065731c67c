// Reservations: who holds a cblock, and what ends that.
#include <chrono>
#include <filesystem>

#include "tests/e2e/daemon.h"

namespace dmcached {
namespace {

class ReservationsTest : public DaemonTest {
 protected:
  ReservationsTest() {
    Start();
    CreateStandard();
  }
  grpc::Status Reserve(uint32_t count, v1::ReserveCblocksResponse* response, uint32_t ttl_ms = 0) {
    v1::ReserveCblocksRequest request;
    request.set_cache(kCache);
    request.set_count(count);
    request.set_ttl_ms(ttl_ms);
    Context context;
    return metadata().ReserveCblocks(&context, request, response);
  }
  grpc::Status Release(uint64_t reservation, v1::ReleaseCblocksResponse* response) {
    v1::ReleaseCblocksRequest request;
    request.set_cache(kCache);
    request.set_reservation(reservation);
    Context context;
    return metadata().ReleaseCblocks(&context, request, response);
  }
  grpc::Status InsertInto(uint64_t reservation, const Pairs& pairs) {
    v1::InsertMappingsRequest request = InsertRequest(pairs);
    request.set_reservation(reservation);
    v1::InsertMappingsResponse response;
    Context context;
    return metadata().InsertMappings(&context, request, &response);
  }
};

TEST_F(ReservationsTest, OnlyTheHolderInsertsIntoReservedCblocks) {
  v1::ReserveCblocksResponse held;
  ASSERT_THAT(Reserve(3, &held), Succeeds());
  ASSERT_EQ(held.cblocks_size(), 3);
  EXPECT_TRUE(std::is_sorted(held.cblocks().begin(), held.cblocks().end()));
  EXPECT_EQ(held.ttl_ms(), 60000u);
  EXPECT_EQ(held.incarnation(), Get().incarnation());
  EXPECT_EQ(Get().reserved_blocks(), 3u);

  EXPECT_THAT(Insert({{held.cblocks(0), 1}}), FailsWith(Reason::kCblockInUse));
  EXPECT_THAT(InsertInto(held.reservation() + 1, {{held.cblocks(0), 1}}), FailsWith(Reason::kReservationExpired));
  EXPECT_THAT(InsertInto(held.reservation(), {{held.cblocks(0), 1}, {kCacheBlocks - 1, 2}}),
              FailsWith(Reason::kReservationExpired));
  EXPECT_THAT(InsertInto(held.reservation(), {{held.cblocks(0), 1}}), Succeeds());
  EXPECT_THAT(InsertInto(held.reservation(), {{held.cblocks(1), 2}}), Succeeds());

  v1::ReleaseCblocksResponse released;
  ASSERT_THAT(Release(held.reservation(), &released), Succeeds());
  EXPECT_EQ(released.released_count(), 1u);
  EXPECT_THAT(Release(held.reservation(), &released), FailsWith(Reason::kReservationExpired));
  EXPECT_THAT(InsertInto(held.reservation(), {{held.cblocks(2), 3}}), FailsWith(Reason::kReservationExpired));
  EXPECT_THAT(Insert({{held.cblocks(2), 3}}), Succeeds());
}

TEST_F(ReservationsTest, TooManyHoldNothing) {
  v1::ReserveCblocksResponse held;
  EXPECT_THAT(Reserve(kCacheBlocks + 1, &held), FailsWith(Reason::kNoFreeCblocks));
  EXPECT_EQ(Get().reserved_blocks(), 0u);
  EXPECT_THAT(Reserve(0, &held), FailsWith(Reason::kInvalidRequest));
  EXPECT_THAT(Reserve(65537, &held), FailsWith(Reason::kTooManyItems));
  EXPECT_THAT(Reserve(1, &held, 60001), FailsWith(Reason::kInvalidRequest));
  EXPECT_THAT(Reserve(kCacheBlocks, &held), Succeeds());
  EXPECT_THAT(Reserve(1, &held), FailsWith(Reason::kNoFreeCblocks));
}

TEST_F(ReservationsTest, AReservationEndsAtItsTtl) {
  v1::ReserveCblocksResponse held;
  ASSERT_THAT(Reserve(1, &held, 1), Succeeds());
  EXPECT_EQ(held.ttl_ms(), 1u);
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Get().reserved_blocks() != 0) ASSERT_LT(std::chrono::steady_clock::now(), give_up);
  EXPECT_THAT(InsertInto(held.reservation(), {{held.cblocks(0), 1}}), FailsWith(Reason::kReservationExpired));
  EXPECT_THAT(Insert({{held.cblocks(0), 1}}), Succeeds());
}

TEST_F(ReservationsTest, ARemovedCblockIsReservedAgain) {
  v1::ReserveCblocksResponse all;
  ASSERT_THAT(Reserve(kCacheBlocks, &all), Succeeds());
  ASSERT_THAT(InsertInto(all.reservation(), {{7, 70}}), Succeeds());
  v1::ReserveCblocksResponse again;
  EXPECT_THAT(Reserve(1, &again), FailsWith(Reason::kNoFreeCblocks));
  ASSERT_THAT(Remove({{7, 70}}), Succeeds());
  ASSERT_THAT(Reserve(1, &again), Succeeds());
  EXPECT_EQ(again.cblocks(0), 7u);
}

TEST_F(ReservationsTest, AfterAnOpenOldHoldersAreWaitedFor) {
  v1::ReserveCblocksResponse held;
  ASSERT_THAT(Reserve(1, &held), Succeeds());
  Restart();
  v1::OpenCacheRequest open;
  open.set_name(kCache);
  open.set_metadata_path(folder_.File("metadata"));
  Open(open);
  v1::ReserveCblocksResponse again;
  EXPECT_THAT(Reserve(1, &again), FailsWith(Reason::kReserveHoldoff));
  EXPECT_THAT(InsertInto(held.reservation(), {{held.cblocks(0), 1}}), FailsWith(Reason::kReservationExpired));
  ASSERT_THAT(Close(), Succeeds());
  OpenStandard();
  EXPECT_THAT(Reserve(1, &again), Succeeds());
}

}  // namespace
}  // namespace dmcached
