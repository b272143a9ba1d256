// Trace JSONL: going on after an earlier recording.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "routesig/io/file.hpp"
#include "routesig/io/jsonl.hpp"
#include "support/jsonl_feed.hpp"
#include "support/scratch_folder.hpp"

namespace routesig {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::ScratchFolder;
using ::testing::ThrowsMessage;
using testing::write_bytes;

const RoutingInfo kInfo{.layers = 1, .experts = 4, .top_k = 2, .model_name = "tiny", .model_sha256 = "aa"};
const RunInfo kRun{.settings = R"({"max_new_tokens":32,"seed":0})", .prompts = 3, .prompts_sha256 = "cc"};

void record(JsonlRecorder& recorder, int sequence, int first, int tokens) {
  for (int t = first; t < first + tokens; ++t)
    testing::feed(recorder, {sequence}, {t}, {t}, TokenType::prompt, {{1, 3}}, {{0.5F, 0.25F}});
}

void record_prompt(JsonlRecorder& recorder, int sequence, const std::string& id) {
  recorder.begin_sequence(sequence, {.id = id});
  record(recorder, sequence, 0, 2);
  recorder.end_sequence(sequence);
}

/// A recording of "a" (whole), "b" (whole, its lines between those of "c") and "c" (cut off), then a torn line.
void interrupted(const fs::path& path) {
  JsonlRecorder recorder(path, {.run = kRun});
  recorder.begin(kInfo);
  record_prompt(recorder, 0, "a");
  recorder.begin_sequence(1, {.id = "c"});
  recorder.begin_sequence(2, {.id = "b"});
  record(recorder, 1, 0, 1);
  record(recorder, 2, 0, 2);
  recorder.end_sequence(2);
  record(recorder, 1, 1, 1);
  recorder.flush();
  std::ofstream(path.string() + ".partial", std::ios::app) << R"({"kind":"token","prompt":"c","posi)";
}

/// The same three prompts without an accident, in the order a resumed recording has them.
std::string uninterrupted() {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl", {.run = kRun});
  recorder.begin(kInfo);
  for (int i = 0; const char* id : {"a", "b", "c"}) record_prompt(recorder, i++, id);
  recorder.end();
  recorder.close();
  return bytes_of(folder / "t.jsonl");
}

TEST(JsonlResume, KeepsWholePromptsByteForByteAndGoesOn) {
  const ScratchFolder folder;
  interrupted(folder / "t.jsonl");
  JsonlRecorder recorder(folder / "t.jsonl", {.run = kRun, .resume = true});
  EXPECT_THAT(recorder.kept(), ElementsAre("a", "b"));
  recorder.begin(kInfo);
  EXPECT_THAT([&] { recorder.begin_sequence(0, {.id = "a"}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("kept()")));
  record_prompt(recorder, 0, "c");
  recorder.end();
  recorder.close();
  EXPECT_EQ(bytes_of(folder / "t.jsonl"), uninterrupted());
  EXPECT_TRUE(read_jsonl(folder / "t.jsonl").complete());
}

TEST(JsonlResume, KeptPromptsAreOnDiskBeforeAnythingElseIsWritten) {
  const ScratchFolder folder;
  interrupted(folder / "t.jsonl");
  {
    JsonlRecorder recorder(folder / "t.jsonl", {.run = kRun, .resume = true});
    recorder.begin(kInfo);
  }
  EXPECT_EQ(read_jsonl(folder / "t.jsonl.partial", {.recover = true}).size(), 2U);
  JsonlRecorder again(folder / "t.jsonl", {.run = kRun, .resume = true});
  EXPECT_THAT(again.kept(), ElementsAre("a", "b"));
}

TEST(JsonlResume, AFinishedFileKeepsEverythingAndCloses) {
  const ScratchFolder folder;
  write_bytes(folder / "t.jsonl", uninterrupted());
  JsonlRecorder recorder(folder / "t.jsonl", {.run = kRun, .resume = true});
  EXPECT_THAT(recorder.kept(), ElementsAre("a", "b", "c"));
  recorder.begin(kInfo);
  EXPECT_THAT([&] { recorder.begin_sequence(0, {.id = "d"}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("is finished")));
  recorder.end();
  recorder.close();
  EXPECT_EQ(bytes_of(folder / "t.jsonl"), uninterrupted());
  EXPECT_FALSE(fs::exists(folder / "t.jsonl.partial"));
}

TEST(JsonlResume, WithNothingLeftToRecordCloseAloneFinishes) {
  const ScratchFolder folder;
  const std::string whole = uninterrupted();
  for (const std::size_t size : {whole.size(), whole.rfind("{\"kind\":\"end\""), whole.size() - 3}) {
    write_bytes(folder / "t.jsonl.partial", std::string_view(whole).substr(0, size));
    JsonlRecorder recorder(folder / "t.jsonl", {.run = kRun, .resume = true});
    EXPECT_EQ(recorder.kept().size(), 3U);
    recorder.close();
    EXPECT_EQ(bytes_of(folder / "t.jsonl"), whole);
    fs::remove(folder / "t.jsonl");
  }
}

TEST(JsonlResume, CutAnywhereItEndsInTheSameFile) {
  const ScratchFolder folder;
  const std::string whole = uninterrupted();
  for (std::size_t n = 0; n < whole.size(); ++n) {
    // Every start and end of a line, and some places within: each costs several syncs of the disk.
    const bool edge = n == 0 || whole[n] == '\n' || whole[n - 1] == '\n';
    if (!edge && n % 97 != 0) continue;
    write_bytes(folder / "t.jsonl.partial", std::string_view(whole).substr(0, n));
    JsonlRecorder recorder(folder / "t.jsonl", {.run = kRun, .resume = true});
    recorder.begin(kInfo);
    for (int i = 0; const std::string id : {"a", "b", "c"})
      if (std::ranges::find(recorder.kept(), id) == recorder.kept().end()) record_prompt(recorder, i++, id);
    recorder.end();
    recorder.close();
    ASSERT_EQ(bytes_of(folder / "t.jsonl"), whole) << n;
    fs::remove(folder / "t.jsonl");
  }
}

TEST(JsonlResume, WithoutAnEarlierRunItStartsAfresh) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl", {.run = kRun, .resume = true});
  EXPECT_THAT(recorder.kept(), IsEmpty());
  recorder.begin(kInfo);
  for (int i = 0; const char* id : {"a", "b", "c"}) record_prompt(recorder, i++, id);
  recorder.end();
  recorder.close();
  EXPECT_EQ(bytes_of(folder / "t.jsonl"), uninterrupted());
}

TEST(JsonlResume, AnOlderPartialFileIsReplacedOnlyWhereItIsGivenUp) {
  const ScratchFolder folder;
  interrupted(folder / "t.jsonl");
  const std::string before = bytes_of(folder / "t.jsonl.partial");
  EXPECT_THAT([&] { JsonlRecorder refused(folder / "t.jsonl", {.run = kRun}); },
              ThrowsMessage<FileError>(HasSubstr("t.jsonl.partial: holds ")));
  EXPECT_THROW(save_jsonl(read_jsonl(folder / "t.jsonl.partial", {.recover = true}), folder / "t.jsonl"), FileError);
  EXPECT_EQ(bytes_of(folder / "t.jsonl.partial"), before);
  JsonlRecorder recorder(folder / "t.jsonl", {.run = kRun, .overwrite = true});
  recorder.begin(kInfo);
  recorder.end();
  recorder.close();
  EXPECT_TRUE(read_jsonl(folder / "t.jsonl").empty());
}

TEST(JsonlResume, RefusesOtherPromptsOtherSettingsAndAnotherModelAndChangesNothing) {
  const ScratchFolder folder;
  interrupted(folder / "t.jsonl");
  const std::string before = bytes_of(folder / "t.jsonl.partial");
  const auto refused = [&](const RunInfo& run, const RoutingInfo& info, bool weights, const auto& says) {
    EXPECT_THAT(
        [&] {
          JsonlRecorder recorder(folder / "t.jsonl", {.run = run, .weights = weights, .resume = true});
          recorder.begin(info);
        },
        ThrowsMessage<std::invalid_argument>(AllOf(HasSubstr("t.jsonl.partial"), says)));
    EXPECT_EQ(bytes_of(folder / "t.jsonl.partial"), before);
  };
  RunInfo run = kRun;
  run.prompts_sha256 = "dd";
  refused(run, kInfo, true, HasSubstr(R"(expected prompts.sha256 "cc" as in the file, got "dd")"));
  run = kRun;
  run.prompts = 4;
  refused(run, kInfo, true, HasSubstr("expected prompts.count 3 as in the file, got 4"));
  run = kRun;
  run.settings = R"({"max_new_tokens":64,"seed":0})";
  refused(run, kInfo, true, HasSubstr("expected settings.max_new_tokens 32 as in the file, got 64"));
  run.settings = R"({"seed":0,"max_new_tokens":32,"temperature":0.5})";
  refused(run, kInfo, true, HasSubstr("expected settings.temperature not given as in the file, got 0.5"));
  run.settings = "";
  refused(run, kInfo, true, HasSubstr("expected settings.max_new_tokens 32 as in the file, got none"));
  RoutingInfo info = kInfo;
  info.model_sha256 = "bb";
  refused(kRun, info, true, HasSubstr(R"(expected model.sha256 "aa" as in the file, got "bb")"));
  info = kInfo;
  info.experts = 8;
  refused(kRun, info, true, HasSubstr("expected experts 4 as in the file, got 8"));
  refused(kRun, kInfo, false, HasSubstr("expected weights recorded"));
}

TEST(JsonlResume, TheOrderOfSettingsTheModelsFolderAndTheCommandDoNotMatter) {
  const ScratchFolder folder;
  interrupted(folder / "t.jsonl");
  RunInfo run = kRun;
  run.settings = R"({ "seed": 0, "max_new_tokens": 32 })";
  RoutingInfo info = kInfo;
  info.model_name = "elsewhere/tiny";
  run.command = "routesig record --resume";
  JsonlRecorder recorder(folder / "t.jsonl", {.run = run, .resume = true});
  recorder.begin(info);
  EXPECT_EQ(recorder.kept().size(), 2U);
}

TEST(JsonlResume, DamageBeforeTheTailIsRefusedAndChangesNothing) {
  const ScratchFolder folder;
  interrupted(folder / "t.jsonl");
  std::string bytes = bytes_of(folder / "t.jsonl.partial");
  bytes[bytes.find("[1,3]")] = '?';
  write_bytes(folder / "t.jsonl.partial", bytes);
  EXPECT_THROW(JsonlRecorder(folder / "t.jsonl", {.run = kRun, .resume = true}), FormatError);
  EXPECT_EQ(bytes_of(folder / "t.jsonl.partial"), bytes);
}

TEST(JsonlResume, ASecondWriterIsRefused) {
  const ScratchFolder folder;
  JsonlRecorder first(folder / "t.jsonl");
  for (const bool resume : {false, true})
    EXPECT_THAT([&] { JsonlRecorder second(folder / "t.jsonl", {.resume = resume}); },
                ThrowsMessage<FileError>(HasSubstr("another writer")));
}

}  // namespace
}  // namespace routesig
