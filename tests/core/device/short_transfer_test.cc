// System calls that move less than they were asked to, and calls that a signal interrupts.
//
// This executable has a preadv and a pwritev of its own, which the device's calls are linked to: no file system can be
// made to do this where a test wants it.
#include <gtest/gtest.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "core/base/aligned_buffer.h"
#include "core/device/file_device.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

constexpr size_t kBlock = 4096;

struct ShortCalls {
  size_t most_bytes = 0;      // One call moves at most so many; 0: as it is asked.
  bool interrupted = false;   // Every other call is interrupted before it has moved anything.
  ssize_t moves_nothing = 0;  // From this call on nothing is moved, without an error; 0: never.
  ssize_t calls = 0;
};
ShortCalls short_calls;

// Moves the beginning of the first piece only, as far as it may.
template <typename Call>
ssize_t MoveLess(Call call, const iovec* pieces, int count, off_t offset) {
  const ssize_t number = ++short_calls.calls;
  if (short_calls.moves_nothing != 0 && number >= short_calls.moves_nothing) return 0;
  if (short_calls.interrupted && number % 2 == 1) {
    errno = EINTR;
    return -1;
  }
  size_t left = short_calls.most_bytes == 0 ? SIZE_MAX : short_calls.most_bytes;
  ssize_t moved = 0;
  for (int i = 0; i < count && left > 0; ++i) {
    const size_t want = std::min(left, pieces[i].iov_len);
    const ssize_t did = call(pieces[i].iov_base, want, offset + moved);
    if (did < 0) return moved > 0 ? moved : did;
    moved += did;
    left -= want;
    if (static_cast<size_t>(did) < want) break;
  }
  return moved;
}

}  // namespace
}  // namespace dmcached

extern "C" ssize_t preadv(int fd, const struct iovec* iovec, int count, off_t offset) {
  return dmcached::MoveLess([fd](void* to, size_t size, off_t at) { return ::pread(fd, to, size, at); }, iovec, count,
                            offset);
}

extern "C" ssize_t pwritev(int fd, const struct iovec* iovec, int count, off_t offset) {
  return dmcached::MoveLess([fd](void* from, size_t size, off_t at) { return ::pwrite(fd, from, size, at); }, iovec,
                            count, offset);
}

namespace dmcached {
namespace {

class ShortTransferTest : public testing::Test {
 protected:
  ShortTransferTest() {
    auto device = OpenFileDevice({.path = folder_.CreateFile("meta", 64 * kBlock)}, nullptr);
    EXPECT_THAT(device, IsOk());
    device_ = *std::move(device);
    short_calls = {};
    for (size_t i = 0; i < pattern_.size(); ++i) pattern_.data()[i] = static_cast<std::byte>(i / 512 + i % 7);
  }
  ~ShortTransferTest() override { short_calls = {}; }

  // In iovec of 3, 1 and 4 blocks, at block 5.
  absl::Status Write() {
    const std::vector<std::span<const std::byte>> iovec = {pattern_.span().first(3 * kBlock),
                                                           pattern_.span().subspan(3 * kBlock, kBlock),
                                                           pattern_.span().subspan(4 * kBlock)};
    return device_->WriteV(5 * kBlock, iovec);
  }
  absl::Status Read() {
    const std::vector<std::span<std::byte>> iovec = {read_.span().first(2 * kBlock), read_.span().subspan(2 * kBlock)};
    return device_->ReadV(5 * kBlock, iovec);
  }
  bool ReadIsWhatWasWritten() const {
    return std::equal(read_.span().begin(), read_.span().end(), pattern_.span().begin());
  }

  TempDir folder_;
  std::unique_ptr<BlockDevice> device_;
  AlignedBuffer pattern_{8 * kBlock};
  AlignedBuffer read_{8 * kBlock};
};

TEST_F(ShortTransferTest, GoesOnWhereTheCallEndedInsideOrBetweenPieces) {
  for (const size_t most : {kBlock, 2 * kBlock, 3 * kBlock, 5 * kBlock, 7 * kBlock}) {
    SCOPED_TRACE(testing::Message() << "at most " << most << " bytes a call");
    std::fill_n(read_.data(), read_.size(), std::byte{0});
    short_calls = {.most_bytes = most};
    ASSERT_THAT(Write(), IsOk());
    EXPECT_EQ(short_calls.calls, static_cast<ssize_t>((8 * kBlock + most - 1) / most));
    short_calls = {};
    ASSERT_THAT(Read(), IsOk());
    EXPECT_TRUE(ReadIsWhatWasWritten()) << "after short writes";
    std::fill_n(read_.data(), read_.size(), std::byte{0});
    short_calls = {.most_bytes = most};
    ASSERT_THAT(Read(), IsOk());
    EXPECT_TRUE(ReadIsWhatWasWritten()) << "by short reads";
  }
}

TEST_F(ShortTransferTest, AnInterruptedCallIsMadeAgain) {
  short_calls = {.most_bytes = 3 * kBlock, .interrupted = true};
  ASSERT_THAT(Write(), IsOk());
  ASSERT_THAT(Read(), IsOk());
  EXPECT_TRUE(ReadIsWhatWasWritten());
}

TEST_F(ShortTransferTest, ACallThatMovesNothingIsAnErrorAndNotALoop) {
  short_calls = {.most_bytes = 3 * kBlock, .moves_nothing = 2};
  EXPECT_THAT(Write(), HasReasonIs(Reason::kIoError));
  short_calls = {.most_bytes = 3 * kBlock, .moves_nothing = 2};
  EXPECT_THAT(Read(), CauseIs(EIO));
}

}  // namespace
}  // namespace dmcached
