#include "routesig/io/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "routesig/error.hpp"

namespace routesig {
namespace {

constexpr std::size_t kBufferBytes = std::size_t{1} << 18;
constexpr int kMostLinks = 40;  // as Linux follows

[[nodiscard]] FileError file_error(const std::filesystem::path& path, std::string_view what, int code) {
  return {path.string(), sentence(what, ": ", std::generic_category().message(code)), code};
}

/// Refuses to wait for whoever may write to a named pipe. What is open already, as /dev/stdin, has no name to resolve.
void refuse_named_pipe(const std::filesystem::path& path) {
  std::error_code error;
  if (std::filesystem::is_fifo(path, error) && !std::filesystem::canonical(path, error).empty())
    throw FileError(path.string(), "expected an ordinary file to read, found a pipe", EINVAL);
}

[[nodiscard]] FileHandle open_file(const std::filesystem::path& path, int flags, std::string_view what) {
  if (flags == O_RDONLY) refuse_named_pipe(path);
  int fd = -1;
  do fd = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  while (fd < 0 && errno == EINTR);
  if (fd < 0) throw file_error(path, what, errno);
  return FileHandle(fd);
}

[[nodiscard]] struct stat status(const FileHandle& file, const std::filesystem::path& path) {
  struct stat found{};
  if (::fstat(file.get(), &found) != 0) throw file_error(path, "cannot be examined", errno);
  return found;
}

/// Whether `path` still names the file that is open: its last owner may have renamed it while we waited for the lock.
[[nodiscard]] bool names(const std::filesystem::path& path, const FileHandle& file) {
  struct stat there{};
  if (::stat(path.c_str(), &there) != 0) return false;
  const struct stat here = status(file, path);
  return here.st_dev == there.st_dev && here.st_ino == there.st_ino;
}

/// Writes everything or returns errno.
[[nodiscard]] int write_all(int fd, std::string_view bytes) noexcept {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) return EIO;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

/// Makes a rename last through a power cut. File systems that cannot sync a folder (EINVAL) have nothing to lose.
void sync_folder(const std::filesystem::path& path) {
  const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
  const FileHandle handle = open_file(folder, O_RDONLY | O_DIRECTORY, "cannot be opened to sync it");
  if (::fsync(handle.get()) != 0 && errno != EINVAL) throw file_error(folder, "cannot be synced", errno);
}

}  // namespace

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = other.release();
  }
  return *this;
}

int FileHandle::release() noexcept { return std::exchange(fd_, -1); }

void FileHandle::reset() noexcept {
  if (fd_ >= 0) ::close(release());
}

std::filesystem::path write_target(std::filesystem::path path) {
  namespace fs = std::filesystem;
  std::error_code error;
  for (int links = 0; fs::is_symlink(fs::symlink_status(path, error)); ++links) {
    if (links == kMostLinks) throw file_error(path, "cannot be written", ELOOP);
    const fs::path target = fs::read_symlink(path, error);
    if (error) throw file_error(path, "cannot be followed", error.value());
    path = path.parent_path() / target;  // an absolute target replaces the folder
  }
  if (!path.has_filename()) throw FileError(path.string(), "expected the name of a file to write", EISDIR);
  const fs::file_status found = fs::status(path, error);
  if (fs::is_directory(found)) throw file_error(path, "cannot be written", EISDIR);
  if (fs::exists(found) && !fs::is_regular_file(found))
    throw FileError(path.string(), "expected an ordinary file to write, found a pipe, a socket or a device", EINVAL);
  return path;
}

OutputFile::OutputFile(std::filesystem::path path, Existing existing)
    : path_(write_target(std::move(path))), partial_(path_), owner_(::getpid()) {
  partial_ += ".partial";
  do {
    // A link that stands there was put there by somebody else: it is not followed.
    file_ = open_file(partial_, O_RDWR | O_CREAT | O_NOFOLLOW, "cannot be opened for writing");
    if (::flock(file_.get(), LOCK_EX | LOCK_NB) != 0) {
      if (errno == EWOULDBLOCK)
        throw FileError(partial_.string(),
                        "another writer has this file open; write to another name or wait for it to end", EWOULDBLOCK);
      throw file_error(partial_, "cannot be locked", errno);
    }
  } while (!names(partial_, file_));
  const auto bytes = status(file_, partial_).st_size;
  stale_ = bytes > 0;
  if (stale_ && existing == Existing::refuse)
    throw FileError(partial_.string(),
                    sentence("holds ", bytes, " bytes that an interrupted writer left; resume or overwrite them"),
                    EEXIST);
  written_ = existing == Existing::keep && stale_;  // what is kept is never removed as empty
  buffer_.reserve(kBufferBytes + kBufferBytes / 4);
}

OutputFile::~OutputFile() {
  if (file_.get() < 0 || owner_ != ::getpid()) return;
  if (!failed_ && !buffer_.empty() && (!stale_ || ::ftruncate(file_.get(), 0) == 0))
    (void)write_all(file_.get(), buffer_);
  struct stat found{};
  if (!written_ && !stale_ && ::fstat(file_.get(), &found) == 0 && found.st_size == 0) ::unlink(partial_.c_str());
}

void OutputFile::fail(std::string_view what, int code) {
  failed_ = true;
  buffer_.clear();
  throw file_error(partial_, what, code);
}

void OutputFile::check_writable() const {
  if (failed_ || file_.get() < 0)
    throw FileError(path_.string(), failed_ ? "an earlier write failed; the file is not complete" : "is already closed",
                    failed_ ? EIO : EBADF);
}

void OutputFile::put(std::string_view bytes) {
  // Asked here and not at every write: it is a system call.
  if (owner_ != ::getpid()) throw std::logic_error(path_.string() + ": opened before a fork, written by the child");
  if (std::exchange(stale_, false) && ::ftruncate(file_.get(), 0) != 0) fail("cannot be emptied", errno);
  if (const int code = write_all(file_.get(), bytes); code != 0) fail("cannot be written", code);
}

void OutputFile::write(std::string_view bytes) {
  check_writable();
  written_ = true;
  if (buffer_.size() + bytes.size() > buffer_.capacity()) {
    put(buffer_);
    buffer_.clear();
  }
  if (bytes.size() > buffer_.capacity()) return put(bytes);
  buffer_ += bytes;
}

void OutputFile::restart(std::string_view bytes) {
  std::filesystem::path name = partial_;
  name += ".kept";
  try {
    FileHandle fresh = open_file(name, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW, "cannot be opened for writing");
    if (::flock(fresh.get(), LOCK_EX | LOCK_NB) != 0) throw file_error(name, "cannot be locked", errno);
    if (const int code = write_all(fresh.get(), bytes); code != 0) throw file_error(name, "cannot be written", code);
    if (::fsync(fresh.get()) != 0) throw file_error(name, "cannot be synced", errno);
    if (::rename(name.c_str(), partial_.c_str()) != 0) throw file_error(name, "cannot be renamed", errno);
    file_ = std::move(fresh);
  } catch (const FileError&) {
    ::unlink(name.c_str());
    failed_ = true;
    throw;
  }
  sync_folder(partial_);
  stale_ = false;
  written_ = true;
}

void OutputFile::flush() {
  check_writable();
  put(buffer_);
  buffer_.clear();
}

void OutputFile::sync() {
  flush();
  if (::fsync(file_.get()) != 0) fail("cannot be synced", errno);
}

void OutputFile::commit() {
  sync();
  if (::rename(partial_.c_str(), path_.c_str()) != 0) fail("cannot be renamed to its final name", errno);
  const int closed = ::close(file_.release());
  if (closed != 0) fail("cannot be closed", errno);
  sync_folder(path_);
}

void OutputFile::discard() noexcept {
  if (file_.get() < 0 || owner_ != ::getpid()) return;
  ::unlink(partial_.c_str());
  buffer_.clear();
  file_.reset();
}

MappedFile::MappedFile(std::filesystem::path path) : path_(std::move(path)) {
  file_ = open_file(path_, O_RDONLY, "cannot be opened");
  const struct stat found = status(file_, path_);
  if (S_ISDIR(found.st_mode)) throw file_error(path_, "cannot be read", EISDIR);
  if (!S_ISREG(found.st_mode)) throw FileError(path_.string(), "expected an ordinary file to map", EINVAL);
  size_ = static_cast<std::uint64_t>(found.st_size);
  if (size_ == 0) return;
  void* map = ::mmap(nullptr, static_cast<std::size_t>(size_), PROT_READ, MAP_PRIVATE, file_.get(), 0);
  if (map == MAP_FAILED) throw file_error(path_, "cannot be mapped", errno);
  data_ = static_cast<const std::byte*>(map);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      file_(std::move(other.file_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  if (this != &other) {
    unmap();
    path_ = std::move(other.path_);
    file_ = std::move(other.file_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

MappedFile::~MappedFile() { unmap(); }

void MappedFile::unmap() noexcept {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), static_cast<std::size_t>(size_));
  data_ = nullptr;
}

void MappedFile::check_unchanged() const {
  const auto now = static_cast<std::uint64_t>(status(file_, path_).st_size);
  if (now != size_)
    throw FileError(path_.string(),
                    sentence("expected ", size_, " bytes, got ", now, ": the file was changed while in use"), EIO);
}

void MappedFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  if (offset > size_ || out.size() > size_ - offset)
    throw std::out_of_range(
        sentence(path_.string(), ": expected bytes below ", size_, ", got ", offset, " + ", out.size()));
  while (!out.empty()) {
    const ssize_t n = ::pread(file_.get(), out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error(path_, "cannot be read", errno);
    if (n == 0) {
      check_unchanged();
      throw file_error(path_, "cannot be read", EIO);
    }
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
}

std::string read_text(const std::filesystem::path& path) {
  const FileHandle file = open_file(path, O_RDONLY, "cannot be opened");
  const struct stat found = status(file, path);
  if (S_ISDIR(found.st_mode)) throw file_error(path, "cannot be read", EISDIR);
  std::string text(S_ISREG(found.st_mode) ? static_cast<std::size_t>(found.st_size) + 1 : kBufferBytes, '\0');
  std::size_t used = 0;
  for (;;) {
    if (used == text.size()) text.resize(2 * used);
    const ssize_t n = ::read(file.get(), text.data() + used, text.size() - used);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) throw file_error(path, "cannot be read", errno);
    if (n == 0) break;
    used += static_cast<std::size_t>(n);
  }
  text.resize(used);
  return text;
}

}  // namespace routesig
