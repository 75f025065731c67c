#include "core/device/file_device.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <span>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "core/base/aligned_buffer.h"
#include "core/base/status.h"

namespace dmcached {
namespace {

constexpr size_t kBufferedAlignmentBytes = 512;

Reason ReasonOfErrno(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENODEV:
    case ENXIO:
      return Reason::kDeviceNotFound;
    case EBUSY:
    case EWOULDBLOCK:
    case ETXTBSY:
      return Reason::kDeviceInUse;
    case EROFS:
      return Reason::kReadOnly;
    case ENOSPC:
    case EDQUOT:
      return Reason::kMetadataNoSpace;
    default:
      return Reason::kIoError;
  }
}

// An error of a system call that opens or prepares the device.
absl::Status OpenError(const std::string& path, absl::string_view what, int error) {
  return MakeError(ReasonOfErrno(error), absl::StrCat(path, ": ", what, ": ", std::strerror(error)), error);
}

// Owns a descriptor.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

template <typename Call>
auto RetryInterrupted(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

// Drops the first `count` bytes.
std::span<iovec> Advance(std::span<iovec> pieces, size_t count) {
  while (!pieces.empty() && count >= pieces.front().iov_len) {
    count -= pieces.front().iov_len;
    pieces = pieces.subspan(1);
  }
  if (count > 0) {
    pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + count;
    pieces.front().iov_len -= count;
  }
  return pieces;
}

class FileDevice : public BlockDevice {
 public:
  struct Traits {
    uint64_t size_bytes;
    bool direct_io;
    bool read_only;
  };

  FileDevice(std::string path, const Clock* clock, Descriptor descriptor, Traits traits)
      : BlockDevice(std::move(path), clock), descriptor_(std::move(descriptor)), traits_(traits) {}

  uint64_t size_bytes() const override { return traits_.size_bytes; }
  size_t alignment_bytes() const override {
    return traits_.direct_io ? AlignedBuffer::kAlignmentBytes : kBufferedAlignmentBytes;
  }
  bool direct_io() const override { return traits_.direct_io; }
  bool read_only() const override { return traits_.read_only; }

 protected:
  absl::Status DoReadV(uint64_t offset_bytes, ReadBuffers buffers) override {
    return Transfer("read", ::preadv, offset_bytes, buffers);
  }

  absl::Status DoWriteV(uint64_t offset_bytes, WriteBuffers buffers) override {
    return Transfer("write", ::pwritev, offset_bytes, buffers);
  }

  // Not repeated, whatever it says: after a failed flush the kernel may have dropped the writes, and the next one lies.
  absl::Status DoFlush() override {
    if (::fdatasync(descriptor_.get()) == 0) return absl::OkStatus();
    return IoError("flush", errno);
  }

 private:
  absl::Status IoError(absl::string_view what, int error) const {
    const bool full = error == ENOSPC || error == EDQUOT;
    return MakeError(full ? Reason::kMetadataNoSpace : Reason::kIoError,
                     absl::StrCat(name(), ": ", what, ": ", std::strerror(error)), error);
  }

  // One system call moves at most IOV_MAX pieces, and perhaps less than it was asked to.
  template <typename Call, typename Buffers>
  absl::Status Transfer(absl::string_view verb, Call call, uint64_t offset_bytes, Buffers buffers) {
    absl::InlinedVector<iovec, 16> pieces;
    pieces.reserve(buffers.size());
    for (const auto& buffer : buffers) {
      pieces.push_back({const_cast<std::byte*>(buffer.data()), buffer.size()});
    }
    std::span<iovec> rest = Advance({pieces.data(), pieces.size()}, 0);
    while (!rest.empty()) {
      const int count = static_cast<int>(std::min<size_t>(rest.size(), IOV_MAX));
      const ssize_t moved = RetryInterrupted(
          [&] { return call(descriptor_.get(), rest.data(), count, static_cast<off_t>(offset_bytes)); });
      if (moved < 0) return IoError(absl::StrCat(verb, " at byte ", offset_bytes), errno);
      if (moved == 0) return IoError(absl::StrCat(verb, " at byte ", offset_bytes, ", where the file now ends"), EIO);
      offset_bytes += static_cast<uint64_t>(moved);
      rest = Advance(rest, static_cast<size_t>(moved));
    }
    return absl::OkStatus();
  }

  const Descriptor descriptor_;
  const Traits traits_;
};

absl::StatusOr<struct stat> StatDevice(const std::string& path) {
  struct stat info;
  if (::stat(path.c_str(), &info) != 0) return OpenError(path, "cannot look at it", errno);
  if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode)) {
    return MakeError(Reason::kDeviceNotFound, absl::StrCat(path, ": neither a regular file nor a block device"),
                     ENOTBLK);
  }
  return info;
}

absl::StatusOr<Descriptor> OpenDescriptor(const DeviceRequest& request, bool is_block_device) {
  int flags = O_CLOEXEC | (request.read_only ? O_RDONLY : O_RDWR);
  if (request.exclusive && is_block_device) flags |= O_EXCL;  // Without O_CREAT: claims a block device.
  Descriptor descriptor(RetryInterrupted([&] { return ::open(request.path.c_str(), flags); }));
  if (descriptor.get() < 0) {
    const int error = errno;
    return OpenError(request.path, request.read_only ? "cannot open for reading" : "cannot open for writing", error);
  }
  // Works on descriptors of any mode and, unlike a POSIX lock, between two opens of one process.
  if (request.exclusive && !is_block_device &&
      RetryInterrupted([&] { return ::flock(descriptor.get(), LOCK_EX | LOCK_NB); }) != 0) {
    const int error = errno;
    if (error == EWOULDBLOCK) {
      return MakeError(Reason::kDeviceInUse, absl::StrCat(request.path, ": locked by another user of this file"));
    }
    return OpenError(request.path, "cannot lock it", error);
  }
  return descriptor;
}

absl::StatusOr<uint64_t> SizeOf(const std::string& path, int fd, bool is_block_device) {
  if (is_block_device) {
    uint64_t size = 0;
    if (::ioctl(fd, BLKGETSIZE64, &size) != 0) return OpenError(path, "cannot read its size", errno);
    return size;
  }
  struct stat info;
  if (::fstat(fd, &info) != 0) return OpenError(path, "cannot read its size", errno);
  return static_cast<uint64_t>(info.st_size);
}

// Gives every hole of a file its space now, so that no later write can find the file system full.
absl::Status AllocateFile(const std::string& path, int fd, uint64_t size_bytes) {
  if (size_bytes == 0) return absl::OkStatus();
  if (RetryInterrupted([&] { return ::fallocate(fd, 0, 0, static_cast<off_t>(size_bytes)); }) == 0) {
    return absl::OkStatus();
  }
  const int error = errno;
  if (error == EOPNOTSUPP || error == ENOSYS) return absl::OkStatus();  // A file system that cannot promise it.
  return OpenError(path, absl::StrCat("cannot allocate its ", size_bytes, " bytes"), error);
}

// Some file systems refuse the flag, some take it and then refuse the transfers.
bool TryDirectIo(int fd, uint64_t size_bytes, bool is_block_device) {
  int logical_block_bytes = 0;
  if (is_block_device && (::ioctl(fd, BLKSSZGET, &logical_block_bytes) != 0 ||
                          static_cast<size_t>(logical_block_bytes) > AlignedBuffer::kAlignmentBytes)) {
    return false;
  }
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_DIRECT) != 0) return false;
  AlignedBuffer probe(AlignedBuffer::kAlignmentBytes);
  if (size_bytes < probe.size()) return true;
  if (RetryInterrupted([&] { return ::pread(fd, probe.data(), probe.size(), 0); }) >= 0) return true;
  // Other errors of this read are the medium's and will be reported by who needs the block.
  if (errno != EINVAL) return true;
  ::fcntl(fd, F_SETFL, flags);
  return false;
}

}  // namespace

absl::StatusOr<std::unique_ptr<BlockDevice>> OpenFileDevice(const DeviceRequest& request, const Clock* clock) {
  // Before the open, which could hang on a fifo or disturb a character device.
  DMCACHED_ASSIGN_OR_RETURN(const struct stat info, StatDevice(request.path));
  const bool is_block_device = S_ISBLK(info.st_mode);
  DMCACHED_ASSIGN_OR_RETURN(Descriptor descriptor, OpenDescriptor(request, is_block_device));
  DMCACHED_ASSIGN_OR_RETURN(const uint64_t size_bytes, SizeOf(request.path, descriptor.get(), is_block_device));
  if (request.allocate && !request.read_only && !is_block_device) {
    DMCACHED_RETURN_IF_ERROR(AllocateFile(request.path, descriptor.get(), size_bytes));
  }
  const bool cached = request.cached && request.read_only && !is_block_device;
  const bool direct_io = !cached && TryDirectIo(descriptor.get(), size_bytes, is_block_device);
  return std::make_unique<FileDevice>(request.path, clock, std::move(descriptor),
                                      FileDevice::Traits{size_bytes, direct_io, request.read_only});
}

}  // namespace dmcached
