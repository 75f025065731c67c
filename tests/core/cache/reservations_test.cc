#include "core/cache/reservations.h"

#include <gtest/gtest.h>

#include <array>
#include <chrono>

namespace dmcached {
namespace {

constexpr Duration kSecond = std::chrono::seconds(1);
constexpr std::array<uint32_t, 3> kCblocks = {3, 5, 9};

TEST(ReservationsTest, HoldsUntilTheTimeIsOver) {
  Reservations reservations;
  reservations.Add(7, 1, kCblocks, 10 * kSecond);
  EXPECT_TRUE(reservations.IsHeld(Cblock(5), 10 * kSecond - Duration{1}));
  EXPECT_FALSE(reservations.IsHeld(Cblock(5), 10 * kSecond));
  EXPECT_FALSE(reservations.IsHeld(Cblock(4), Duration{0}));
  EXPECT_TRUE(reservations.HeldBy(7, Cblock(9), Duration{0}));
  EXPECT_FALSE(reservations.HeldBy(8, Cblock(9), Duration{0}));
}

TEST(ReservationsTest, IsValidOnlyInItsIncarnationButStillHolds) {
  Reservations reservations;
  reservations.Add(7, 1, kCblocks, 10 * kSecond);
  EXPECT_TRUE(reservations.IsValid(7, 1, Duration{0}));
  EXPECT_FALSE(reservations.IsValid(7, 2, Duration{0}));
  EXPECT_FALSE(reservations.IsValid(7, 1, 10 * kSecond));
  EXPECT_FALSE(reservations.IsValid(6, 1, Duration{0}));
  EXPECT_TRUE(reservations.IsHeld(Cblock(3), Duration{0}));
}

TEST(ReservationsTest, ReleaseCountsWhatWasNotConsumed) {
  Reservations reservations;
  reservations.Add(7, 1, kCblocks, 10 * kSecond);
  reservations.Consume(std::array<uint32_t, 1>{5});
  EXPECT_FALSE(reservations.IsHeld(Cblock(5), Duration{0}));
  EXPECT_EQ(reservations.Release(7, Duration{0}), 2u);
  EXPECT_EQ(reservations.Release(7, Duration{0}), std::nullopt);
  EXPECT_EQ(reservations.held(), 0u);
}

TEST(ReservationsTest, IsForgottenWhenItsLastCblockIsConsumed) {
  Reservations reservations;
  reservations.Add(7, 1, kCblocks, 10 * kSecond);
  reservations.Consume(std::array<uint32_t, 2>{5, 9});
  EXPECT_TRUE(reservations.IsValid(7, 1, Duration{0}));
  reservations.Consume(std::array<uint32_t, 1>{3});
  EXPECT_FALSE(reservations.IsValid(7, 1, Duration{0}));
  EXPECT_EQ(reservations.Release(7, Duration{0}), std::nullopt);
  reservations.Add(8, 1, kCblocks, 10 * kSecond);
  reservations.DropFrom(Cblock(0));
  EXPECT_FALSE(reservations.IsValid(8, 1, Duration{0}));
  EXPECT_EQ(reservations.held(), 0u);
}

TEST(ReservationsTest, AnExpiredHolderDoesNotTakeTheNextOnesCblocksAlong) {
  Reservations reservations;
  reservations.Add(7, 1, kCblocks, kSecond);
  reservations.Add(8, 1, kCblocks, 3 * kSecond);
  reservations.Expire(2 * kSecond);
  EXPECT_TRUE(reservations.HeldBy(8, Cblock(5), 2 * kSecond));
  EXPECT_EQ(reservations.Release(7, 2 * kSecond), std::nullopt);
  EXPECT_EQ(reservations.held(), 3u);
}

TEST(ReservationsTest, AShrinkDropsOnlyWhatIsCut) {
  Reservations reservations;
  reservations.Add(7, 1, kCblocks, 10 * kSecond);
  reservations.DropFrom(Cblock(5));
  EXPECT_TRUE(reservations.IsHeld(Cblock(3), Duration{0}));
  EXPECT_FALSE(reservations.IsHeld(Cblock(5), Duration{0}));
  EXPECT_EQ(reservations.held(), 1u);
}

TEST(ReservationsTest, HoldoffEnds) {
  Reservations reservations;
  EXPECT_EQ(reservations.HoldoffLeft(Duration{0}), Duration{0});
  reservations.HoldOff(5 * kSecond);
  EXPECT_EQ(reservations.HoldoffLeft(2 * kSecond), 3 * kSecond);
  EXPECT_EQ(reservations.HoldoffLeft(5 * kSecond), Duration{0});
}

}  // namespace
}  // namespace dmcached
