// Whole trace files from memory: what is left out, what is refused, and a set without traces.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "routesig/interrupt.hpp"
#include "routesig/io/jsonl.hpp"
#include "support/scratch_folder.hpp"
#include "support/traces.hpp"

namespace routesig {
namespace {

namespace fs = std::filesystem;
using testing::bytes_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::ScratchFolder;

TEST(SaveJsonl, RefusesWhatTheFileCannotSayAndLeavesNothingBehind) {
  const ScratchFolder folder;
  EXPECT_THROW(save_jsonl({}, folder / "t.jsonl"), std::invalid_argument);
  const RoutingTrace trace = testing::trace_of(testing::shape(1, 2, 1), {0, 1}, 1);
  EXPECT_THROW(save_jsonl(TraceSet({trace, trace}), folder / "t.jsonl"), std::invalid_argument);
  const auto named =
      std::make_shared<const RoutingInfo>(RoutingInfo{.layers = 1, .experts = 2, .top_k = 1, .model_name = "m"});
  EXPECT_THROW(save_jsonl(TraceSet({trace, testing::trace_of(named, {0}, 1, "u")}), folder / "t.jsonl"),
               std::invalid_argument);
  TraceColumns columns = trace.columns();
  columns.positions[1] = -1;
  EXPECT_THROW(save_jsonl(TraceSet({RoutingTrace(trace.shared_info(), {.id = "a"}, columns)}), folder / "t.jsonl"),
               std::invalid_argument);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

// A prompt list may be empty: the file still says what was asked of which model.
TEST(SaveJsonl, AFileWithoutPromptsKeepsItsRoutingAndItsRun) {
  const ScratchFolder folder;
  const RoutingInfo info{.layers = 2, .experts = 4, .top_k = 2, .model_name = "tiny"};
  const RunInfo run{.settings = R"({"seed":0})", .prompts = 0, .prompts_sha256 = "aa"};
  {
    JsonlRecorder recorder(folder / "t.jsonl", {.run = run});
    recorder.begin(info);
    recorder.end();
    recorder.close();
  }
  const TraceSet read = read_jsonl(folder / "t.jsonl");
  EXPECT_TRUE(read.empty());
  EXPECT_TRUE(read.complete());
  EXPECT_EQ(read.run(), run);
  ASSERT_NE(read.info(), nullptr);
  EXPECT_EQ(*read.info(), info);
  save_jsonl(read, folder / "again.jsonl");
  EXPECT_EQ(bytes_of(folder / "again.jsonl"), bytes_of(folder / "t.jsonl"));
}

TEST(SaveJsonl, TheCommandThatRecordedStandsInTheHeaderAndMakesNoOtherRun) {
  const ScratchFolder folder;
  const RunInfo run{.settings = R"({"seed":0})", .command = R"(routesig record --prompts "a b.csv")"};
  const auto info = testing::shape(1, 2, 1);
  save_jsonl(TraceSet({testing::trace_of(info, {0, 1}, 1, "a")}, run), folder / "t.jsonl");
  const std::string header = bytes_of(folder / "t.jsonl");
  EXPECT_THAT(header, HasSubstr(R"(,"command":"routesig record --prompts \"a b.csv\"","routesig":)"));
  const TraceSet read = read_jsonl(folder / "t.jsonl");
  EXPECT_EQ(read.run().command, run.command);
  EXPECT_EQ(read.run(), (RunInfo{.settings = run.settings}));
  save_jsonl(read, folder / "again.jsonl");
  EXPECT_EQ(bytes_of(folder / "again.jsonl"), header);
}

TEST(SaveJsonl, RouterLogitsAreLeftOutWithOneSentence) {
  const ScratchFolder folder;
  const auto info = testing::shape(1, 2, 1);
  const RoutingTrace plain = testing::trace_of(info, {0, 1}, 1, "a");
  TraceColumns columns = plain.columns();
  columns.router_logits = {0.5F, 0.25F, 0.25F, 0.5F};
  const RoutingTrace with_logits(info, {.id = "b", .prompt_tokens = 1}, columns);
  std::vector<std::string> notes;
  const auto hear = [&](const std::string& note) { notes.push_back(note); };
  save_jsonl(TraceSet({plain}), folder / "plain.jsonl", hear);
  EXPECT_TRUE(notes.empty());
  save_jsonl(TraceSet({plain, with_logits}), folder / "t.jsonl", hear);
  const std::string expected =
      (folder / "t.jsonl").string() + ": router logits live in memory only; those of 1 trace are left out of the file";
  EXPECT_THAT(notes, ElementsAre(expected));
  EXPECT_TRUE(read_jsonl(folder / "t.jsonl")[1].columns().router_logits.empty());
}

TEST(SaveJsonl, AWarningThatThrowsLeavesNoFile) {
  const ScratchFolder folder;
  TraceColumns columns = testing::trace_of(testing::shape(1, 2, 1), {0}, 1).columns();
  columns.router_logits = {0.5F, 0.25F};
  const TraceSet set({RoutingTrace(testing::shape(1, 2, 1), {.id = "a"}, columns)});
  const auto refuse = [](const std::string& note) { throw std::runtime_error(note); };
  EXPECT_THROW(save_jsonl(set, folder / "t.jsonl", refuse), std::runtime_error);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

// A caller that ends long work at its points, of which there is one a trace and one a line.
TEST(SaveJsonl, InterruptedItLeavesNoFileAndReadingLeavesTheFileAlone) {
  struct Stop : std::exception {};
  const ScratchFolder folder;
  const auto shape = testing::shape(2, 8, 2);
  const TraceSet traces({testing::random_trace(shape, 4, 2, 1, "a"), testing::random_trace(shape, 4, 2, 2, "b")});
  save_jsonl(traces, folder / "t.jsonl");
  const std::string bytes = bytes_of(folder / "t.jsonl");
  for (const int points : {0, 1}) {
    int left = points;
    const Interruptible watched(
        [&] {
          if (left-- == 0) throw Stop();
        },
        std::chrono::milliseconds(0));
    EXPECT_THROW(save_jsonl(traces, folder / "u.jsonl"), Stop);
    left = points;
    EXPECT_THROW(save_jsonl(traces, folder / "t.jsonl"), Stop);
    left = points;
    EXPECT_THROW((void)read_jsonl(folder / "t.jsonl"), Stop);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()), 1);
  EXPECT_EQ(bytes_of(folder / "t.jsonl"), bytes);
}

}  // namespace
}  // namespace routesig
