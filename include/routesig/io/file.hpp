/// \file file.hpp
/// Files that are either whole or absent, and files read without surprises.
///
///     routesig::OutputFile out("traces.jsonl");   // writes traces.jsonl.partial
///     out.write("one line\n");
///     out.flush();                                // survives SIGKILL from here on; sync(): a power cut
///     out.commit();                               // fsync, rename to traces.jsonl, fsync of the folder
///
/// Every failed write, fsync or rename throws FileError, and the file stays failed: nothing after it reports success.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace routesig {

/// An open file descriptor; closes it. Closing quietly is fine only where nothing was written, or after fsync.
class FileHandle {
 public:
  FileHandle() = default;
  explicit FileHandle(int fd) noexcept : fd_(fd) {}
  FileHandle(FileHandle&& other) noexcept : fd_(other.release()) {}
  FileHandle& operator=(FileHandle&& other) noexcept;
  ~FileHandle() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] int release() noexcept;
  void reset() noexcept;

 private:
  int fd_ = -1;
};

/// The file that writing to `path` writes: links are followed, to a file that need not be there yet. Throws FileError
/// on what is no ordinary file (a folder, a pipe, a device), which a rename would replace.
[[nodiscard]] std::filesystem::path write_target(std::filesystem::path path);

/// A file that appears under its name only when it is whole. Until `commit` the bytes stand in `partial_path()`, which
/// is locked: a second writer is refused, in this process or another.
class OutputFile {
 public:
  enum class Existing : std::uint8_t {
    replace,  ///< an older partial file is emptied by the first write
    keep,     ///< it is kept until `restart` says which bytes of it go on
    refuse    ///< a FileError (EEXIST), unless it is empty
  };

  /// Opens and locks `write_target(path)` + ".partial". Throws FileError where that is impossible.
  explicit OutputFile(std::filesystem::path path, Existing existing = Existing::replace);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  /// Without `commit` the partial file stays, with everything written to it as far as the disk takes it (an empty one
  /// is removed). Never throws.
  ~OutputFile();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] const std::filesystem::path& partial_path() const noexcept { return partial_; }

  /// Appends; goes to the operating system in large pieces.
  void write(std::string_view bytes);
  /// Replaces what an older partial file holds by `bytes`, and goes on after them. A crash in between loses nothing:
  /// the new bytes are synced in a file of their own and renamed over the old.
  void restart(std::string_view bytes);
  /// Everything written so far is with the operating system: it survives the end of this process.
  void flush();
  /// Everything written so far is on the disk: it survives a power cut.
  void sync();
  /// Ends the file: sync, rename to `path()`, sync of the folder. Once.
  void commit();
  /// Gives the partial file up and removes it.
  void discard() noexcept;

 private:
  void check_writable() const;
  void put(std::string_view bytes);
  [[noreturn]] void fail(std::string_view what, int code);

  std::filesystem::path path_;
  std::filesystem::path partial_;
  FileHandle file_;
  std::string buffer_;
  long owner_;          // process id: a forked child shares the descriptor but must not write our buffer
  bool stale_ = false;  // the partial file holds bytes of an earlier writer
  bool written_ = false;
  bool failed_ = false;
};

/// A whole file, mapped read-only. An empty file is an empty span.
///
/// A file *replaced* by rename is harmless: the old bytes stay mapped. A file *shortened in place* by somebody else
/// makes the operating system raise SIGBUS at the next touch of the lost pages, which no library can turn into an
/// error: map only files that nobody rewrites in place (weights), call `check_unchanged` before a long walk, and use
/// `read`, which throws instead, where that is not certain. Trace files are never mapped: they are read into memory.
class MappedFile {
 public:
  explicit MappedFile(std::filesystem::path path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  ~MappedFile();

  [[nodiscard]] const std::filesystem::path& path() const noexcept { return path_; }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, static_cast<std::size_t>(size_)}; }
  [[nodiscard]] std::string_view text() const noexcept {
    return {reinterpret_cast<const char*>(data_), static_cast<std::size_t>(size_)};
  }

  /// Throws FileError where the file no longer has the size it was mapped with.
  void check_unchanged() const;
  /// Copies bytes [offset, offset + out.size()) without touching the map: a shortened file is a FileError, not a
  /// SIGBUS.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  void unmap() noexcept;

  std::filesystem::path path_;
  FileHandle file_;
  const std::byte* data_ = nullptr;
  std::uint64_t size_ = 0;
};

/// The bytes of a file. Works on pipes that are open too (/dev/stdin); a folder, a named pipe or a missing file is a
/// FileError.
[[nodiscard]] std::string read_text(const std::filesystem::path& path);

}  // namespace routesig
