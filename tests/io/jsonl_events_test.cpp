// The event form of a trace: one line per token, layer and expert.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "routesig/io/jsonl.hpp"

namespace routesig {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::ThrowsMessage;

std::string event(const std::string& prompt, int position, int layer, int expert, const std::string& type = "prompt") {
  return sentence(R"({"prompt":")", prompt, R"(","layer":)", layer, R"(,"expert":)", expert, R"(,"position":)",
                  position, R"(,"type":")", type, "\"}\n");
}

TEST(JsonlEvents, AreGatheredIntoTraces) {
  // Two prompts whose lines interleave; "b" comes with position 1 first; layer 1 of its position 0 is missing.
  const std::string text = event("a", 0, 0, 3) + event("a", 0, 0, 1) + event("b", 1, 0, 7, "generation") +
                           event("b", 1, 0, 2, "generation") + event("a", 0, 1, 0) + event("a", 0, 1, 5) +
                           event("b", 1, 1, 1, "generation") + event("b", 1, 1, 0, "generation") + event("b", 0, 0, 4) +
                           event("b", 0, 0, -1);
  const TraceSet set = parse_jsonl(text, "events.jsonl");
  ASSERT_EQ(set.size(), 2U);
  const RoutingInfo& info = set[0].info();
  EXPECT_EQ(info.layers, 2);
  EXPECT_EQ(info.experts, 8) << "the largest id + 1";
  EXPECT_EQ(info.top_k, 2);
  EXPECT_FALSE(info.ranked);
  EXPECT_EQ(set[0].sequence().id, "a");
  EXPECT_EQ(set[0].sequence().prompt_tokens, 1);
  EXPECT_THAT(set[0].columns().experts, ElementsAre(3, 1, 0, 5));
  EXPECT_THAT(set[1].columns().experts, ElementsAre(4, kNoExpert, kNoExpert, kNoExpert, 7, 2, 1, 0));
  EXPECT_THAT(set[1].columns().positions, ElementsAre(0, 1));
  EXPECT_THAT(set[1].columns().types, ElementsAre(TokenType::prompt, TokenType::generation));
  EXPECT_THAT(set[1].columns().token_ids, IsEmpty());
  EXPECT_TRUE(set.complete());
}

TEST(JsonlEvents, TheNumberOfExpertsCanBeSaid) {
  EXPECT_EQ(parse_jsonl(event("a", 0, 0, 3), "t", {.experts = 64})[0].info().experts, 64);
}

TEST(JsonlEvents, ALastLineWithoutLineFeedIsRead) {
  const std::string text = event("a", 0, 0, 3);
  EXPECT_EQ(parse_jsonl(text.substr(0, text.size() - 1), "t").size(), 1U);
}

TEST(JsonlEvents, UnknownFieldsAreIgnoredWithOneNote) {
  std::string line = event("a", 0, 0, 3);
  line.insert(1, R"("model":"x",)");
  std::vector<std::string> notes;
  (void)parse_jsonl(line + line.replace(line.find(":3"), 2, ":4"), "t", {},
                    [&](const std::string& note) { notes.push_back(note); });
  EXPECT_THAT(notes, ElementsAre(HasSubstr("\"model\" of a event is not known")));
}

TEST(JsonlEvents, AHundredUnknownFieldsAreNineNotes) {
  std::string line = event("a", 0, 0, 3);
  for (int i = 0; i < 100; ++i) line.insert(1, sentence("\"f", i, "\":1,"));
  std::vector<std::string> notes;
  (void)parse_jsonl(line, "t", {}, [&](const std::string& note) { notes.push_back(note); });
  ASSERT_EQ(notes.size(), 9U);
  EXPECT_THAT(notes[7], EndsWith("was ignored"));
  EXPECT_THAT(notes[8], EndsWith("was ignored, and others after it"));
}

void refused(const std::string& text, const std::string& says, const ReadOptions& options = {}) {
  EXPECT_THAT([&] { (void)parse_jsonl(text, "t.jsonl", options); }, ThrowsMessage<FormatError>(HasSubstr(says)));
}

TEST(JsonlEvents, WhatCannotBeHeldIsRefused) {
  const std::string good = event("a", 0, 0, 3);
  refused(good + event("a", 0, 1, 1) + event("a", 0, 1, 2),
          "expected 1 experts for every token and layer, got 2 (prompt \"a\", position 0, layer 1)");
  refused(good + event("a", 0, 1, 1, "generation"), "expected one type for a token");
  refused(good + event("a", 0, 0, 70'000), "t.jsonl, line 2");
  refused(good + event("a", 0, 0, -2), "expert: expected a whole number from -1");
  refused(good + event("a", -1, 0, 2), "position: expected a whole number");
  refused(good + event("a", 1, 0, 2, "pad"), "type: expected");
  refused(good + "\n" + good, "t.jsonl, line 2");
  refused(good + R"({"prompt":"a","layer":0,"expert":1,"position":1})", "expected a field \"type\"");
  refused(good + event("a", 1, 2'000'000'000, 2), "expected 1 to 65536 layers, got 2000000001");
  std::string sparse = good;
  for (int position = 1; position < 40; ++position) sparse += event("a", position, 60'000, 2);
  refused(sparse, "64 times the file's size");
  refused(good + event("a", 0, 0, 2), "expected top_k from 1 to 1", {.experts = 1});
  refused(good + good.substr(0, 20), "line 2");
}

// Position 1 was fed twice, in both layers; lines come in any order, so only the number of its experts shows it.
TEST(JsonlEvents, ATokenFedTwiceIsRefusedOrTheEarlierOneDropped) {
  std::string text = event("a", 1, 0, 1) + event("a", 1, 0, 2) + event("a", 1, 1, 1) + event("a", 1, 1, 2);
  for (int position = 0; position < 3; ++position)
    for (int layer = 0; layer < 2; ++layer) text += event("a", position, layer, 5) + event("a", position, layer, 4);
  text += event("b", 0, 0, 7) + event("b", 0, 0, 6);
  refused(
      text,
      "expected 2 experts for every token and layer, got 4 (prompt \"a\", position 1, layer 0): a token that was fed "
      "twice? drop_invalid keeps the later one");
  const TraceSet set = parse_jsonl(text, "t", {.drop_invalid = true});
  EXPECT_EQ(set[0].info().top_k, 2);
  EXPECT_THAT(set[0].columns().experts, ElementsAre(5, 4, 5, 4, 5, 4, 5, 4, 5, 4, 5, 4));
  EXPECT_EQ(set[0].columns().dropped_tokens, 1U);
  EXPECT_EQ(set[1].columns().dropped_tokens, 0U);
  refused(text + event("a", 2, 1, 3), "got 3 (prompt \"a\", position 2, layer 1)", {.drop_invalid = true});
}

TEST(JsonlEvents, RecoverDropsATornLineAndATornRow) {
  std::string text;
  for (int position = 0; position < 3; ++position)
    for (const int expert : {1, 2}) text += event("a", position, 0, expert);
  const auto tokens = [&](std::size_t dropped) {
    const TraceSet set = parse_jsonl(text.substr(0, text.size() - dropped), "t", {.recover = true});
    EXPECT_FALSE(set.complete());
    return set[0].tokens();
  };
  EXPECT_EQ(tokens(5), 2) << "the torn line's row is gone too";
  EXPECT_EQ(tokens(event("a", 2, 0, 2).size()), 2);
}

}  // namespace
}  // namespace routesig
