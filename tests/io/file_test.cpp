#include "routesig/io/file.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <fstream>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <string>
#include <vector>

#include "routesig/error.hpp"
#include "support/full_disk.hpp"
#include "support/scratch_folder.hpp"

namespace routesig {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::bytes_of;
using ::testing::HasSubstr;
using ::testing::Property;
using testing::ScratchFolder;
using ::testing::Throws;
using ::testing::ThrowsMessage;
using testing::write_bytes;

template <typename Call>
int error_code_of(Call&& call) {
  try {
    call();
  } catch (const FileError& error) {
    return error.code();
  }
  return 0;
}

TEST(OutputFile, AppearsUnderItsNameOnlyWhenCommitted) {
  const ScratchFolder folder;
  OutputFile out(folder / "a.txt");
  out.write("one\n");
  out.flush();
  EXPECT_FALSE(fs::exists(folder / "a.txt"));
  EXPECT_EQ(bytes_of(folder / "a.txt.partial"), "one\n");
  out.write("two\n");
  out.commit();
  EXPECT_EQ(bytes_of(folder / "a.txt"), "one\ntwo\n");
  EXPECT_FALSE(fs::exists(folder / "a.txt.partial"));
}

TEST(OutputFile, ReplacesAnOlderFileAtOnceAndNotBefore) {
  const ScratchFolder folder;
  write_bytes(folder / "a.txt", "old");
  write_bytes(folder / "a.txt.partial", "left behind by a crash, longer than what follows");
  OutputFile out(folder / "a.txt");
  out.write("new");
  out.sync();
  EXPECT_EQ(bytes_of(folder / "a.txt"), "old");
  out.commit();
  EXPECT_EQ(bytes_of(folder / "a.txt"), "new");
}

TEST(OutputFile, KeepsEveryByteInOrderWhateverThePieces) {
  const ScratchFolder folder;
  std::string all;
  OutputFile out(folder / "a.txt");
  for (const std::size_t size : {1U, 7U, 1000U, 300'000U, 3U, 1'000'000U, 0U, 262'144U, 5U}) {
    std::string piece(size, '\0');
    for (std::size_t i = 0; i < size; ++i) piece[i] = static_cast<char>(i * 31 + size);
    out.write(piece);
    all += piece;
  }
  out.commit();
  EXPECT_TRUE(bytes_of(folder / "a.txt") == all);
}

TEST(OutputFile, StaysPartialWithWhatWasWrittenWhereNobodyCommits) {
  const ScratchFolder folder;
  {
    OutputFile(folder / "a.txt").write("kept");
  }
  EXPECT_EQ(bytes_of(folder / "a.txt.partial"), "kept");
  EXPECT_FALSE(fs::exists(folder / "a.txt"));
}

TEST(OutputFile, LeavesNothingWhereNothingWasWritten) {
  const ScratchFolder folder;
  {
    const OutputFile out(folder / "a.txt");
  }
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(OutputFile, DiscardRemovesThePartialFile) {
  const ScratchFolder folder;
  OutputFile out(folder / "a.txt");
  out.write("x");
  out.flush();
  out.discard();
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(OutputFile, SecondWriterIsRefusedInASentenceAndTheFirstGoesOn) {
  const ScratchFolder folder;
  OutputFile first(folder / "a.txt");
  first.write("first");
  EXPECT_THAT([&] { OutputFile second(folder / "a.txt"); },
              ThrowsMessage<FileError>(AllOf(HasSubstr("a.txt.partial"), HasSubstr("another writer"))));
  first.commit();
  EXPECT_EQ(bytes_of(folder / "a.txt"), "first");
  OutputFile(folder / "a.txt").write("the lock is free again");
}

TEST(OutputFile, RestartReplacesThePartialFileAndGoesOnBehind) {
  const ScratchFolder folder;
  write_bytes(folder / "a.txt.partial", "one\ntwo\nthr");
  OutputFile out(folder / "a.txt", OutputFile::Existing::keep);
  EXPECT_EQ(bytes_of(folder / "a.txt.partial"), "one\ntwo\nthr");
  out.restart("one\n");
  EXPECT_EQ(bytes_of(folder / "a.txt.partial"), "one\n");
  EXPECT_THROW(OutputFile(folder / "a.txt"), FileError) << "the new partial file is locked too";
  out.write("three\n");
  out.commit();
  EXPECT_EQ(bytes_of(folder / "a.txt"), "one\nthree\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
}

TEST(OutputFile, KeepTouchesNothingUntilItIsTold) {
  const ScratchFolder folder;
  write_bytes(folder / "a.txt.partial", "earlier");
  {
    const OutputFile out(folder / "a.txt", OutputFile::Existing::keep);
  }
  EXPECT_EQ(bytes_of(folder / "a.txt.partial"), "earlier");
}

// The partial file is one that takes no byte.
TEST(OutputFile, FullDiskIsReportedByEveryCallFromThenOn) {
  const ScratchFolder folder;
  if (!testing::make_full(folder / "a.txt.partial")) GTEST_SKIP() << "no device can be made here";
  OutputFile out(folder / "a.txt");
  out.write("small enough to wait in the buffer");
  EXPECT_EQ(error_code_of([&] { out.flush(); }), ENOSPC);
  EXPECT_THROW(out.write("more"), FileError);
  EXPECT_THROW(out.flush(), FileError);
  EXPECT_THROW(out.sync(), FileError);
  EXPECT_THROW(out.commit(), FileError);
  EXPECT_FALSE(fs::exists(folder / "a.txt"));
}

TEST(OutputFile, FullDiskIsReportedByCommitAlone) {
  const ScratchFolder folder;
  if (!testing::make_full(folder / "a.txt.partial")) GTEST_SKIP() << "no device can be made here";
  OutputFile out(folder / "a.txt");
  out.write("x");
  EXPECT_EQ(error_code_of([&] { out.commit(); }), ENOSPC);
}

TEST(OutputFile, AForkedChildNeitherWritesNorEndsTheParentsFile) {
  const ScratchFolder folder;
  OutputFile out(folder / "a.txt");
  out.write("parent\n");
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 1;
    try {
      out.write("child\n");
      out.flush();
    } catch (const std::logic_error&) {
      status = 0;
    }
    out.~OutputFile();
    ::_exit(status);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  out.commit();
  EXPECT_EQ(bytes_of(folder / "a.txt"), "parent\n");
}

TEST(OutputFile, ReplacesALongerLeftoverEvenWhereItIsNeverClosed) {
  const ScratchFolder folder;
  std::ofstream(folder / "a.txt.partial") << "a longer leftover of an earlier run\n";
  {
    OutputFile out(folder / "a.txt");
    out.write("short\n");
  }
  EXPECT_EQ(bytes_of(folder / "a.txt.partial"), "short\n");
}

TEST(OutputFile, RefusesToReplaceALeftoverThatNobodyGaveUp) {
  const ScratchFolder folder;
  write_bytes(folder / "a.txt.partial", "hours of work");
  EXPECT_THAT(
      [&] { OutputFile out(folder / "a.txt", OutputFile::Existing::refuse); },
      ThrowsMessage<FileError>(HasSubstr("a.txt.partial: holds 13 bytes that an interrupted writer left; resume "
                                         "or overwrite them")));
  EXPECT_EQ(bytes_of(folder / "a.txt.partial"), "hours of work");
  write_bytes(folder / "a.txt.partial", "");
  OutputFile out(folder / "a.txt", OutputFile::Existing::refuse);
  out.write("new");
  out.commit();
  EXPECT_EQ(bytes_of(folder / "a.txt"), "new");
}

TEST(OutputFile, FollowsLinks) {
  const ScratchFolder folder;
  fs::create_directory(folder / "data");
  fs::create_symlink("data/a.txt", folder / "one");  // of a file that is not there yet
  fs::create_symlink(folder / "one", folder / "two");
  for (const char* text : {"first", "second"}) {
    OutputFile out(folder / "two");
    EXPECT_EQ(out.partial_path(), folder / "data/a.txt.partial");
    out.write(text);
    out.commit();
    EXPECT_EQ(bytes_of(folder / "data/a.txt"), text);
  }
  EXPECT_TRUE(fs::is_symlink(folder / "one"));
  EXPECT_TRUE(fs::is_symlink(folder / "two"));
  fs::create_symlink("loop", folder / "loop");
  EXPECT_EQ(error_code_of([&] { OutputFile out(folder / "loop"); }), ELOOP);
}

TEST(OutputFile, FollowsNoLinkThatSomebodyPutInThePlaceOfThePartialFile) {
  const ScratchFolder folder;
  write_bytes(folder / "victim", "mine");
  for (const char* planted : {"a.txt.partial", "a.txt.partial.kept"}) {
    fs::create_symlink("victim", folder / planted);
    EXPECT_EQ(error_code_of([&] {
                OutputFile out(folder / "a.txt");
                out.restart("new");
              }),
              ELOOP);
    fs::remove(folder / "a.txt.partial");
  }
  EXPECT_EQ(bytes_of(folder / "victim"), "mine");
}

TEST(OutputFile, RefusesWhatIsNoOrdinaryFile) {
  const ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  fs::create_symlink("pipe", folder / "link");
  for (const fs::path& path : {folder / "pipe", folder / "link", fs::path("/dev/null")})
    EXPECT_THAT(
        [&] { OutputFile out(path); },
        ThrowsMessage<FileError>(HasSubstr("expected an ordinary file to write, found a pipe, a socket or a dev")));
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));
  EXPECT_EQ(error_code_of([&] { OutputFile out(folder / std::string(300, 'a')); }), ENAMETOOLONG);
}

TEST(OutputFile, NamesTheFileItCannotOpen) {
  const ScratchFolder folder;
  EXPECT_THAT([&] { OutputFile out(folder / "missing/a.txt"); },
              ThrowsMessage<FileError>(HasSubstr("missing/a.txt.partial")));
  EXPECT_EQ(error_code_of([&] { OutputFile out(folder.path()); }), EISDIR);
}

TEST(MappedFile, ShowsTheBytes) {
  const ScratchFolder folder;
  const std::string text("a\0b\n", 4);
  write_bytes(folder / "a", text);
  MappedFile map(folder / "a");
  EXPECT_EQ(map.text(), text);
  EXPECT_EQ(map.size(), 4U);
  const MappedFile moved = std::move(map);
  EXPECT_EQ(moved.text(), text);
  std::vector<std::byte> two(2);
  moved.read(1, two);
  EXPECT_EQ(two[1], std::byte{'b'});
}

TEST(MappedFile, EmptyFileIsAnEmptySpan) {
  const ScratchFolder folder;
  write_bytes(folder / "a", "");
  EXPECT_TRUE(MappedFile(folder / "a").bytes().empty());
}

TEST(MappedFile, MissingFileAndFolderAreRefused) {
  const ScratchFolder folder;
  EXPECT_EQ(error_code_of([&] { MappedFile map(folder / "a"); }), ENOENT);
  EXPECT_EQ(error_code_of([&] { MappedFile map(folder.path()); }), EISDIR);
}

TEST(MappedFile, AReplacedFileKeepsItsOldBytes) {
  const ScratchFolder folder;
  write_bytes(folder / "a", "old bytes");
  const MappedFile map(folder / "a");
  write_bytes(folder / "b", "new");
  fs::rename(folder / "b", folder / "a");
  EXPECT_EQ(map.text(), "old bytes");
  EXPECT_NO_THROW(map.check_unchanged());
}

TEST(MappedFile, AShortenedFileIsAnErrorOfReadAndNotASignal) {
  const ScratchFolder folder;
  write_bytes(folder / "a", std::string(100'000, 'x'));
  const MappedFile map(folder / "a");
  fs::resize_file(folder / "a", 10);
  std::vector<std::byte> out(1000);
  EXPECT_THAT([&] { map.read(50'000, out); }, ThrowsMessage<FileError>(HasSubstr("expected 100000 bytes, got 10")));
  EXPECT_THROW(map.check_unchanged(), FileError);
  EXPECT_THROW(map.read(99'999, out), std::out_of_range);
}

TEST(ReadText, ReadsFilesAndPipes) {
  const ScratchFolder folder;
  write_bytes(folder / "a", "text");
  EXPECT_EQ(read_text(folder / "a"), "text");
  write_bytes(folder / "empty", "");
  EXPECT_EQ(read_text(folder / "empty"), "");
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ASSERT_EQ(::write(ends[1], "piped", 5), 5);
  ::close(ends[1]);
  EXPECT_EQ(read_text("/dev/fd/" + std::to_string(ends[0])), "piped");
  ::close(ends[0]);
  EXPECT_EQ(error_code_of([&] { (void)read_text(folder.path()); }), EISDIR);
  EXPECT_EQ(error_code_of([&] { (void)read_text(folder / "missing"); }), ENOENT);
}

TEST(ReadText, DoesNotWaitForWhoeverMayWriteToANamedPipe) {
  const ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  EXPECT_EQ(error_code_of([&] { (void)read_text(folder / "pipe"); }), EINVAL);
  EXPECT_EQ(error_code_of([&] { const MappedFile map(folder / "pipe"); }), EINVAL);
}

}  // namespace
}  // namespace routesig
