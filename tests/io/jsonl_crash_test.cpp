// Trace JSONL: processes killed at any byte, disks that are full, and what is left behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "routesig/io/file.hpp"
#include "routesig/io/jsonl.hpp"
#include "support/full_disk.hpp"
#include "support/jsonl_feed.hpp"
#include "support/scratch_folder.hpp"

namespace routesig {
namespace {

namespace fs = std::filesystem;
using testing::bytes_of;
using ::testing::ElementsAre;
using testing::ScratchFolder;
using testing::write_bytes;

const RoutingInfo kInfo{.layers = 2, .experts = 16, .top_k = 4, .model_name = "tiny", .model_sha256 = "aa"};
const RunInfo kRun{.settings = R"({"seed":0})", .prompts = 24, .prompts_sha256 = "cc"};
constexpr int kPrompts = 24;
constexpr int kTokens = 25;

/// Tokens [first, first + count) of a prompt; a token's routing depends on nothing but its place.
void record_tokens(JsonlRecorder& recorder, int prompt, int first, int count) {
  for (int t = first; t < first + count; ++t) {
    Random random(1, static_cast<std::uint64_t>(prompt * kTokens + t));
    std::vector<ExpertId> all(16);
    std::iota(all.begin(), all.end(), ExpertId{0});
    std::vector<std::vector<ExpertId>> experts;
    std::vector<std::vector<float>> weights(2);
    for (std::vector<float>& row : weights) {
      random.shuffle(std::span(all));
      experts.emplace_back(all.begin(), all.begin() + 4);
      for (int i = 0; i < 4; ++i) row.push_back(static_cast<float>(random.uniform()));
    }
    testing::feed(recorder, {prompt}, {t}, {t}, TokenType::prompt, experts, weights);
  }
}

void record_prompt(JsonlRecorder& recorder, int prompt) {
  recorder.begin_sequence(prompt, {.id = sentence("p", prompt), .text = "\u00e9lan", .prompt_tokens = kTokens});
  record_tokens(recorder, prompt, 0, kTokens);
  recorder.end_sequence(prompt);
}

/// Records every prompt, or with `resume` those that an earlier run did not finish.
void record(const fs::path& path, bool resume, bool flush) {
  JsonlRecorder recorder(path, {.run = kRun, .resume = resume, .overwrite = !resume});
  recorder.begin(kInfo);
  for (int p = 0; p < kPrompts; ++p) {
    if (std::ranges::find(recorder.kept(), sentence("p", p)) != recorder.kept().end()) continue;
    record_prompt(recorder, p);
    if (flush) recorder.flush();
  }
  recorder.end();
  recorder.close();
}

/// The file of a recording without an accident.
std::string uninterrupted() {
  const ScratchFolder folder;
  record(folder / "t.jsonl", false, false);
  return bytes_of(folder / "t.jsonl");
}

/// `record` in a child process that dies of SIGKILL when a file of it would grow beyond `bytes`: the system takes that
/// many, then sends SIGXFSZ.
void record_and_be_killed(const fs::path& path, bool resume, bool flush, std::size_t bytes) {
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, [](int) { ::kill(::getpid(), SIGKILL); });
    const rlimit limit{bytes, bytes};
    try {
      if (::setrlimit(RLIMIT_FSIZE, &limit) == 0) record(path, resume, flush);
    } catch (...) {
    }
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
}

/// What `left`, the first bytes of a trace file, says: its whole lines, and nothing else of `whole`.
void expect_whole_lines(const fs::path& path, const std::string& left, const TraceSet& whole) {
  if (left.find('\n') == std::string::npos) {
    EXPECT_THROW((void)read_jsonl(path, {.recover = true}), FormatError);
    return;
  }
  std::size_t prompts = 0, tokens = 0, read = 0;
  for (std::size_t at = 0, end = 0; (end = left.find('\n', at)) != std::string::npos; at = end + 1) {
    prompts += left.compare(at, 17, R"({"kind":"prompt",)") == 0 ? 1U : 0U;
    tokens += left.compare(at, 16, R"({"kind":"token",)") == 0 ? 1U : 0U;
  }
  const TraceSet set = read_jsonl(path, {.recover = true});
  EXPECT_FALSE(set.complete());
  ASSERT_EQ(set.size(), prompts);
  for (std::size_t i = 0; i < set.size(); ++i) {
    const TraceColumns &part = set[i].columns(), &all = whole[i].columns();
    EXPECT_EQ(set[i].sequence().id, whole[i].sequence().id);
    EXPECT_TRUE(std::ranges::equal(part.experts, std::span(all.experts).first(part.experts.size())));
    EXPECT_TRUE(std::ranges::equal(part.weights, std::span(all.weights).first(part.weights.size())));
    read += part.positions.size();
  }
  EXPECT_EQ(read, tokens);
}

TEST(JsonlCrash, KilledAtAnyByteWholeLinesAreReadAndResumeEndsInTheSameFile) {
  const std::string whole = uninterrupted();
  const TraceSet traces = parse_jsonl(whole, "whole");
  Random random(2);
  const auto below = [&](std::size_t n) { return std::size_t{random.below(static_cast<std::uint32_t>(n))}; };
  for (int round = 0; round < 24; ++round) {
    SCOPED_TRACE(round);
    const ScratchFolder folder;
    const fs::path path = folder / "t.jsonl", partial = folder / "t.jsonl.partial";
    const bool flush = round % 2 == 0;  // else the file grows at the end, in one piece
    const std::size_t bytes = 1 + below(round < 4 ? 400 : whole.size() - 1);  // some within the first line
    record_and_be_killed(path, false, flush, bytes);
    ASSERT_FALSE(fs::exists(path));
    const std::string left = bytes_of(partial);
    ASSERT_TRUE(left == whole.substr(0, bytes)) << bytes;
    EXPECT_THROW((void)read_jsonl(partial), FormatError);
    expect_whole_lines(partial, left, traces);

    if (round % 3 == 0) {  // killed again on its way, or while it lays the kept prompts aside
      record_and_be_killed(path, true, flush, 1 + below(whole.size() - 1));
      ASSERT_FALSE(fs::exists(path));
      expect_whole_lines(partial, bytes_of(partial), traces);
    }
    record(path, true, flush);
    ASSERT_TRUE(bytes_of(path) == whole) << bytes;
    EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1);
  }
}

TEST(JsonlRecorder, WhatWasFlushedSurvivesSigkill) {
  const ScratchFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    try {
      JsonlRecorder recorder(folder / "t.jsonl");
      recorder.begin(kInfo);
      record_prompt(recorder, 0);
      recorder.begin_sequence(1, {.id = "p1"});
      record_tokens(recorder, 1, 0, 5);
      recorder.flush();
      record_tokens(recorder, 1, 5, 1);  // may be lost
      if (::write(ready[1], "x", 1) != 1) ::_exit(1);
      ::pause();
    } catch (...) {
    }
    ::_exit(1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::kill(child, SIGKILL);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_FALSE(fs::exists(folder / "t.jsonl"));
  EXPECT_THROW((void)read_jsonl(folder / "t.jsonl.partial"), FormatError);
  const TraceSet set = read_jsonl(folder / "t.jsonl.partial", {.recover = true});
  ASSERT_EQ(set.size(), 2U);
  EXPECT_EQ(set[0].tokens(), kTokens);
  EXPECT_EQ(set[1].tokens(), 5);
  JsonlRecorder resumed(folder / "t.jsonl", {.resume = true});
  EXPECT_THAT(resumed.kept(), ElementsAre("p0")) << "the lock died with its holder";
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST(JsonlRecorder, DestroyedWithoutCloseThePartialFileIsReadable) {
  const ScratchFolder folder;
  {
    JsonlRecorder recorder(folder / "t.jsonl");
    recorder.begin(kInfo);
    record_prompt(recorder, 0);
  }
  EXPECT_EQ(read_jsonl(folder / "t.jsonl.partial", {.recover = true}).size(), 1U);
  EXPECT_FALSE(fs::exists(folder / "t.jsonl"));
}

TEST(JsonlRecorder, AFullDiskIsReportedAndNothingAfterItSucceeds) {
  const ScratchFolder folder;
  if (!testing::make_full(folder / "t.jsonl.partial")) GTEST_SKIP() << "no device can be made here";
  JsonlRecorder recorder(folder / "t.jsonl");
  recorder.begin(kInfo);
  record_prompt(recorder, 0);
  try {
    recorder.flush();
    FAIL() << "a full disk took the bytes";
  } catch (const FileError& error) {
    EXPECT_EQ(error.code(), ENOSPC);
  }
  EXPECT_THROW(recorder.flush(), FileError);
  EXPECT_THROW(recorder.sync(), FileError);
  EXPECT_THROW(recorder.close(), FileError);
  EXPECT_THROW(recorder.close(), FileError);
  EXPECT_FALSE(fs::exists(folder / "t.jsonl"));
}

TEST(JsonlRecorder, AFullDiskIsMetByCloseWhereNothingWasFlushed) {
  const ScratchFolder folder;
  if (!testing::make_full(folder / "t.jsonl.partial")) GTEST_SKIP() << "no device can be made here";
  JsonlRecorder recorder(folder / "t.jsonl");
  recorder.begin(kInfo);
  EXPECT_THROW(recorder.close(), FileError);
}

/// A file system of 64 KiB, for as long as the object lives; `refused` says why there is none.
class SmallDisk {
 public:
  SmallDisk() {
    if (::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=64k") != 0) refused_ = std::strerror(errno);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;
  ~SmallDisk() {
    if (refused_.empty()) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }

  [[nodiscard]] const std::string& refused() const noexcept { return refused_; }
  [[nodiscard]] fs::path operator/(std::string_view name) const { return folder_ / name; }
  [[nodiscard]] std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename().string());
    std::ranges::sort(names);
    return names;
  }

 private:
  ScratchFolder folder_;
  std::string refused_;
};

/// The sentence of the full disk that `call` meets.
template <typename Call>
std::string full_disk(Call&& call) {
  try {
    call();
  } catch (const FileError& error) {
    EXPECT_EQ(error.code(), ENOSPC);
    return error.what();
  }
  return "no error";
}

TEST(JsonlFullDisk, IsOneSentenceLeavesNothingFinishedAndRecordingGoesOnWhenThereIsRoom) {
  const SmallDisk disk;
  if (!disk.refused().empty()) GTEST_SKIP() << "a disk of 64 KiB cannot be mounted here: " << disk.refused();
  const std::string whole = uninterrupted(), path = (disk / "t.jsonl").string();
  ASSERT_GT(whole.size(), 65'536U);
  for (const bool flush : {true, false}) {
    EXPECT_EQ(full_disk([&] { record(path, false, flush); }),
              path + ".partial: cannot be written: No space left on device");
    EXPECT_THAT(disk.files(), ElementsAre("t.jsonl.partial"));
    const std::string left = bytes_of(path + ".partial");
    EXPECT_TRUE(whole.starts_with(left));
    expect_whole_lines(path + ".partial", left, parse_jsonl(whole, "whole"));
    // Resuming needs room for the kept prompts a second time; without it nothing of them is lost.
    EXPECT_EQ(full_disk([&] { record(path, true, flush); }),
              path + ".partial.kept: cannot be written: No space left on device");
    EXPECT_THAT(disk.files(), ElementsAre("t.jsonl.partial"));
    EXPECT_EQ(bytes_of(path + ".partial"), left);
  }
  const ScratchFolder roomy;
  fs::copy(path + ".partial", roomy / "t.jsonl.partial");
  record(roomy / "t.jsonl", true, true);
  EXPECT_TRUE(bytes_of(roomy / "t.jsonl") == whole);
}

TEST(JsonlFullDisk, LeavesNothingOfAFileSavedAtOnce) {
  const SmallDisk disk;
  if (!disk.refused().empty()) GTEST_SKIP() << "a disk of 64 KiB cannot be mounted here: " << disk.refused();
  const TraceSet traces = parse_jsonl(uninterrupted(), "whole");
  const std::string path = (disk / "t.jsonl").string();
  EXPECT_EQ(full_disk([&] { save_jsonl(traces, path); }),
            path + ".partial: cannot be written: No space left on device");
  EXPECT_THAT(disk.files(), ElementsAre());
  write_bytes(path, "an older file");
  EXPECT_NE(full_disk([&] { save_jsonl(traces, path); }), "no error");
  EXPECT_EQ(bytes_of(path), "an older file");
}

}  // namespace
}  // namespace routesig
