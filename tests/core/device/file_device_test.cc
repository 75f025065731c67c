#include "core/device/file_device.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/magic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "core/base/aligned_buffer.h"
#include "tests/support/matchers.h"
#include "tests/support/temp_dir.h"

namespace dmcached {
namespace {

using testing::HasSubstr;

constexpr uint64_t kSize = 1 << 20;

uint64_t AllocatedBytes(const std::string& path) {
  struct stat info;
  return ::stat(path.c_str(), &info) == 0 ? static_cast<uint64_t>(info.st_blocks) * 512 : 0;
}

TEST(FileDeviceTest, SecondExclusiveOpenInTheSameProcessIsRefused) {
  TempDir dir;
  const std::string path = dir.CreateFile("meta", kSize);
  auto first = OpenFileDevice({.path = path}, nullptr);
  ASSERT_THAT(first, IsOk());

  const auto second = OpenFileDevice({.path = path}, nullptr);
  EXPECT_THAT(second, HasReasonIs(Reason::kDeviceInUse));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(path));
  EXPECT_THAT(OpenFileDevice({.path = path, .read_only = true}, nullptr), HasReasonIs(Reason::kDeviceInUse));
  // Another name of the same file is the same file.
  std::filesystem::create_symlink(path, dir.File("alias"));
  EXPECT_THAT(OpenFileDevice({.path = dir.File("alias")}, nullptr), HasReasonIs(Reason::kDeviceInUse));
  // Who does not ask for a lock may look.
  EXPECT_THAT(OpenFileDevice({.path = path, .read_only = true, .exclusive = false}, nullptr), IsOk());

  first->reset();
  EXPECT_THAT(OpenFileDevice({.path = path}, nullptr), IsOk());
}

TEST(FileDeviceTest, ReadOnlyOpenIsExclusiveToo) {
  TempDir dir;
  const std::string path = dir.CreateFile("meta", kSize);
  const auto first = OpenFileDevice({.path = path, .read_only = true}, nullptr);
  ASSERT_THAT(first, IsOk());
  EXPECT_THAT(OpenFileDevice({.path = path}, nullptr), HasReasonIs(Reason::kDeviceInUse));
}

TEST(FileDeviceTest, MissingFileIsNotFound) {
  TempDir dir;
  EXPECT_THAT(OpenFileDevice({.path = dir.File("none")}, nullptr), HasReasonIs(Reason::kDeviceNotFound));
  EXPECT_THAT(OpenFileDevice({.path = dir.File("none/below")}, nullptr), HasReasonIs(Reason::kDeviceNotFound));
  EXPECT_FALSE(std::filesystem::exists(dir.File("none")));
}

TEST(FileDeviceTest, FoldersFifosAndCharacterDevicesAreRefusedWithoutOpeningThem) {
  TempDir dir;
  ASSERT_EQ(::mkfifo(dir.File("fifo").c_str(), 0600), 0);
  for (const std::string& path : {dir.path(), dir.File("fifo"), std::string("/dev/zero")}) {
    const auto device = OpenFileDevice({.path = path}, nullptr);
    EXPECT_THAT(device, HasReasonIs(Reason::kDeviceNotFound));
    EXPECT_THAT(std::string(device.status().message()), HasSubstr("neither a regular file nor a block device"));
  }
}

TEST(FileDeviceTest, AllocateGivesASparseFileItsSpaceAndKeepsItsBytes) {
  TempDir dir;
  const std::string path = dir.CreateFile("meta", kSize);
  AlignedBuffer block(4096);
  block.data()[17] = std::byte{5};
  {
    const auto device = OpenFileDevice({.path = path}, nullptr);
    ASSERT_THAT(device, IsOk());
    ASSERT_THAT((*device)->Write(8192, block.span()), IsOk());
    ASSERT_THAT((*device)->Flush(), IsOk());
  }
  ASSERT_LT(AllocatedBytes(path), kSize);
  {
    const auto reader = OpenFileDevice({.path = path, .read_only = true, .allocate = true}, nullptr);
    ASSERT_THAT(reader, IsOk());
    EXPECT_LT(AllocatedBytes(path), kSize) << "a read-only open changed the file";
  }
  const auto device = OpenFileDevice({.path = path, .allocate = true}, nullptr);
  ASSERT_THAT(device, IsOk());
  EXPECT_EQ((*device)->size_bytes(), kSize);
  EXPECT_GE(AllocatedBytes(path), kSize);
  AlignedBuffer read(4096);
  ASSERT_THAT((*device)->Read(8192, read.span()), IsOk());
  EXPECT_EQ(read.data()[17], std::byte{5});
}

TEST(FileDeviceTest, SizeThatIsNoMultipleOfABlockIsReportedAsItIs) {
  TempDir dir;
  const auto device = OpenFileDevice({.path = dir.CreateFile("meta", 3 * 4096 + 100)}, nullptr);
  ASSERT_THAT(device, IsOk());
  EXPECT_EQ((*device)->size_bytes(), 3 * 4096u + 100);
  AlignedBuffer block(4096);
  EXPECT_THAT((*device)->Read(2 * 4096, block.span()), IsOk());
  EXPECT_THAT((*device)->Read(3 * 4096, block.span()), CauseIs(ERANGE));
}

TEST(FileDeviceTest, MorePiecesThanOneSystemCallTakes) {
  TempDir dir;
  constexpr size_t kPieces = IOV_MAX + 3;
  const auto device = OpenFileDevice({.path = dir.CreateFile("meta", kPieces * 4096)}, nullptr);
  ASSERT_THAT(device, IsOk());
  AlignedBuffer all(kPieces * 4096);
  std::vector<std::span<const std::byte>> writes;
  for (size_t i = 0; i < kPieces; ++i) {
    all.data()[i * 4096] = static_cast<std::byte>(i * 3 & 0xFF);
    writes.emplace_back(all.span().subspan(i * 4096, 4096));
  }
  ASSERT_THAT((*device)->WriteV(0, writes), IsOk());

  AlignedBuffer back(kPieces * 4096);
  std::vector<std::span<std::byte>> reads;
  for (size_t i = 0; i < kPieces; ++i) reads.push_back(back.span().subspan(i * 4096, 4096));
  ASSERT_THAT((*device)->ReadV(0, reads), IsOk());
  EXPECT_TRUE(std::equal(all.span().begin(), all.span().end(), back.span().begin()));
}

TEST(FileDeviceTest, FileCutShortUnderUsIsAnIoError) {
  TempDir dir;
  const std::string path = dir.CreateFile("meta", kSize);
  const auto device = OpenFileDevice({.path = path}, nullptr);
  ASSERT_THAT(device, IsOk());
  std::filesystem::resize_file(path, 8192);
  AlignedBuffer block(4096);
  const absl::Status status = (*device)->Read(kSize / 2, block.span());
  EXPECT_THAT(status, HasReasonIs(Reason::kIoError));
  EXPECT_THAT(std::string(status.message()), HasSubstr("where the file now ends"));
}

// sysfs is the one file system that is everywhere and has no O_DIRECT.
TEST(FileDeviceTest, FileSystemWithoutDirectIoIsOpenedBuffered) {
  const std::string path = "/sys/kernel/profiling";
  const std::string other = "/sys/kernel/uevent_seqnum";
  const std::string found = std::filesystem::exists(path) ? path : other;
  if (!std::filesystem::exists(found)) GTEST_SKIP() << "no sysfs here";
  const auto device = OpenFileDevice({.path = found, .read_only = true, .exclusive = false}, nullptr);
  ASSERT_THAT(device, IsOk());
  EXPECT_FALSE((*device)->direct_io());
  EXPECT_EQ((*device)->alignment_bytes(), 512u);
}

TEST(FileDeviceTest, DirectIoIsUsedAndReported) {
  TempDir dir;
  const std::string path = dir.CreateFile("meta", kSize);
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (fd < 0) GTEST_SKIP() << "no O_DIRECT below " << dir.path();
  ::close(fd);
  const auto device = OpenFileDevice({.path = path}, nullptr);
  ASSERT_THAT(device, IsOk());
  EXPECT_TRUE((*device)->direct_io());
  EXPECT_EQ((*device)->alignment_bytes(), 4096u);
}

TEST(FileDeviceTest, OnlyAReadOnlyFileIsReadThroughThePageCache) {
  TempDir dir;
  const std::string path = dir.CreateFile("meta", kSize);
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
  if (fd < 0) GTEST_SKIP() << "no O_DIRECT below " << dir.path();
  ::close(fd);
  const auto direct_io = [&](bool read_only) {
    const auto device = OpenFileDevice({.path = path, .read_only = read_only, .cached = true}, nullptr);
    EXPECT_THAT(device, IsOk());
    return !device.ok() || (*device)->direct_io();
  };
  EXPECT_FALSE(direct_io(/*read_only=*/true));
  EXPECT_TRUE(direct_io(/*read_only=*/false));
}

// What another process wrote past the page cache, while the file's old bytes were in it.
TEST(FileDeviceTest, CachedReadsSeeWhatWasWrittenDirectly) {
  TempDir dir;
  const std::string path = dir.CreateFile("meta", kSize);
  AlignedBuffer block(4096);
  for (const int value : {1, 2, 3}) {
    {
      const auto writer = OpenFileDevice({.path = path}, nullptr);
      ASSERT_THAT(writer, IsOk());
      std::fill(block.span().begin(), block.span().end(), std::byte(value));
      ASSERT_THAT((*writer)->Write(4096, block.span()), IsOk());
    }
    const auto reader = OpenFileDevice({.path = path, .read_only = true, .cached = true}, nullptr);
    ASSERT_THAT(reader, IsOk());
    std::fill(block.span().begin(), block.span().end(), std::byte{0});
    ASSERT_THAT((*reader)->Read(4096, block.span()), IsOk());
    EXPECT_EQ(block.span().front(), std::byte(value));
  }
}

// A limit on the size of files is the one failure of a write that needs no special file system.
TEST(FileDeviceTest, FailedWriteNamesPathAndCause) {
  TempDir dir;
  const std::string path = dir.CreateFile("meta", kSize);
  const auto device = OpenFileDevice({.path = path}, nullptr);
  ASSERT_THAT(device, IsOk());
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  auto* const handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  AlignedBuffer block(4096);
  const absl::Status status = (*device)->Write(kSize / 2, block.span());
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);

  EXPECT_THAT(status, HasReasonIs(Reason::kIoError));
  EXPECT_EQ(CauseOf(status), EFBIG);
  EXPECT_THAT(std::string(status.message()), HasSubstr(path));
  EXPECT_THAT(std::string(status.message()), HasSubstr("File too large"));
}

// tmpfs refuses at once, and without using any memory, to allocate more than it may ever hold.
TEST(FileDeviceTest, AllocateWithoutSpaceIsResourceExhausted) {
  const std::string folder = "/dev/shm";
  struct statfs info;
  if (::statfs(folder.c_str(), &info) != 0 || info.f_type != TMPFS_MAGIC || info.f_blocks == 0) {
    GTEST_SKIP() << folder << " is not a tmpfs with a limit";
  }
  const std::string path = folder + "/dmc-full-" + std::to_string(::getpid());
  { std::ofstream create(path); }
  std::filesystem::resize_file(path, static_cast<uint64_t>(info.f_blocks) * static_cast<uint64_t>(info.f_bsize) * 2);
  const auto device = OpenFileDevice({.path = path, .allocate = true}, nullptr);
  const auto sparse = OpenFileDevice({.path = path}, nullptr);
  std::filesystem::remove(path);
  EXPECT_THAT(device, StatusIs(absl::StatusCode::kResourceExhausted));
  EXPECT_THAT(device, CauseIs(ENOSPC));
  EXPECT_THAT(sparse, IsOk());
}

}  // namespace
}  // namespace dmcached
