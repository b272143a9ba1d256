// Trace JSONL, version 1: what is written, and that it comes back.
#include "routesig/io/jsonl.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <filesystem>
#include <limits>

#include "routesig/io/file.hpp"
#include "support/jsonl_feed.hpp"
#include "support/scratch_folder.hpp"
#include "support/traces.hpp"

namespace routesig {

using namespace std::string_literals;
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using testing::bytes_of;
using ::testing::ElementsAre;
using testing::feed;
using ::testing::HasSubstr;
using testing::ScratchFolder;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;
using testing::write_bytes;

const RoutingInfo kInfo{.layers = 2,
                        .experts = 300,
                        .top_k = 2,
                        .model_layers = {1, 3},
                        .model_name = "tiny",
                        .model_sha256 = "ab",
                        .model_dtype = "bfloat16",
                        .tokenizer_sha256 = "cd"};

// By hand, but for the checksum: that is checked against a published value in crc32c_test.
const std::string kByHand =
    R"({"kind":"header","format":"routesig-trace","version":1,"routing":{"layers":2,"experts":300,"top_k":2,"model_layers":[1,3],"ranked":true,"renormalized":false},"model":{"name":"tiny","sha256":"ab","dtype":"bfloat16"},"tokenizer":{"sha256":"cd"},"settings":{"max_new_tokens":1,"seed":0},"prompts":{"count":1,"sha256":"ef"},"routesig":"0.1.0"}
{"kind":"prompt","id":"code-01","task":"code","text":"Write","group":"w","fields":{"lang":"en","n":[1, 2]},"prompt_tokens":1}
{"kind":"token","prompt":"code-01","position":0,"type":"prompt","token":7,"experts":[[3,299],null],"weights":[[0.5,0.1],[null,null]]}
{"kind":"token","prompt":"code-01","position":1,"type":"generation","token":0,"experts":[[0,10],[299,100]],"weights":[[1e-05,0],[1,0.33333334]]}
{"kind":"prompt_end","id":"code-01","tokens":2,"token_texts":["Hi","a"],"nonfinite_rows":1}
)";

TEST(Jsonl, WritesWhatIsWorkedByHand) {
  const ScratchFolder folder;
  const auto vocabulary = std::make_shared<const std::vector<std::string>>(
      std::vector<std::string>{"a", "b", "c", "d", "e", "f", "g", "Hi"});
  JsonlRecorder recorder(folder / "t.jsonl",
                         {.run = {.settings = R"({"max_new_tokens":1,"seed":0})", .prompts = 1, .prompts_sha256 = "ef"},
                          .vocabulary = vocabulary});
  EXPECT_TRUE(recorder.needs().weights);
  recorder.begin(kInfo);
  recorder.begin_sequence(0, {.id = "code-01",
                              .task = "code",
                              .text = "Write",
                              .group = "w",
                              .prompt_tokens = 1,
                              .fields = {{"lang", R"("en")"}, {"n", "[1, 2]"}}});
  const float nan = std::nanf("");
  feed(recorder, {0}, {0}, {7}, TokenType::prompt, {{3, 299}, {kNoExpert, kNoExpert}}, {{0.5F, 0.1F}, {nan, nan}}, {1});
  feed(recorder, {0}, {1}, {0}, TokenType::generation, {{0, 10}, {299, 100}}, {{1e-5F, 0.0F}, {1.0F, 1.0F / 3.0F}});
  recorder.end_sequence(0);
  recorder.end();
  EXPECT_EQ(bytes_of(folder / "t.jsonl.partial"), kByHand);
  recorder.close();
  const std::string whole = bytes_of(folder / "t.jsonl");
  ASSERT_TRUE(whole.starts_with(kByHand));
  EXPECT_THAT(whole.substr(kByHand.size()),
              ::testing::MatchesRegex(R"(\{"kind":"end","prompts":1,"tokens":2,"crc32c":"[0-9a-f]{8}"\}.)"));
  EXPECT_FALSE(fs::exists(folder / "t.jsonl.partial"));
}

TEST(Jsonl, ReadsBackEverythingThatWasWritten) {
  std::vector<std::string> notes;
  const TraceSet set =
      parse_jsonl(kByHand, "t.jsonl", {.recover = true}, [&](const std::string& note) { notes.push_back(note); });
  ASSERT_EQ(set.size(), 1U);
  EXPECT_EQ(set[0].info(), kInfo);
  EXPECT_EQ(set.run(), (RunInfo{.settings = R"({"max_new_tokens":1,"seed":0})", .prompts = 1, .prompts_sha256 = "ef"}));
  const SequenceInfo expected{.id = "code-01",
                              .task = "code",
                              .text = "Write",
                              .group = "w",
                              .prompt_tokens = 1,
                              .fields = {{"lang", R"("en")"}, {"n", "[1, 2]"}}};
  EXPECT_EQ(set[0].sequence(), expected);
  const TraceColumns& c = set[0].columns();
  EXPECT_THAT(c.experts, ElementsAre(3, 299, kNoExpert, kNoExpert, 0, 10, 299, 100));
  EXPECT_THAT(c.positions, ElementsAre(0, 1));
  EXPECT_THAT(c.token_ids, ElementsAre(7, 0));
  EXPECT_THAT(c.types, ElementsAre(TokenType::prompt, TokenType::generation));
  EXPECT_THAT(c.token_texts, ElementsAre("Hi", "a"));
  EXPECT_EQ(c.nonfinite_rows, 1U);
  ASSERT_THAT(c.weights, SizeIs(8));
  EXPECT_EQ(c.weights[1], 0.1F);
  EXPECT_TRUE(std::isnan(c.weights[2]));
  EXPECT_EQ(c.weights[4], 1e-5F);
  EXPECT_EQ(c.weights[7], 1.0F / 3.0F);
  EXPECT_FALSE(set.complete());
  EXPECT_THAT(notes, ElementsAre(HasSubstr("1 prompts (0 of them unfinished) with 2 tokens")));
}

TEST(Jsonl, ARowThatNanChoseIsWrittenAsNotKnown) {
  const ScratchFolder folder;
  TraceRecorder keep({.weights = true});
  JsonlRecorder file(folder / "t.jsonl"), ids(folder / "ids.jsonl", {.weights = false});
  for (RoutingRecorder* recorder : std::initializer_list<RoutingRecorder*>{&keep, &file, &ids}) {
    recorder->begin({.layers = 2, .experts = 9, .top_k = 2});
    recorder->begin_sequence(0, {.id = "a"});
    const float nan = std::nanf("");
    feed(*recorder, {0, 0}, {0, 1}, {3, 4}, TokenType::prompt, {{0, 1, 5, 6}, {0, 1, 7, 8}},
         {{0.5F, 0.25F, nan, nan}, {0.5F, 0.25F, 0.5F, 0.25F}}, {1, 0});
    recorder->end();
  }
  file.close();
  ids.close();
  EXPECT_THAT(bytes_of(folder / "t.jsonl"),
              AllOf(HasSubstr(R"("experts":[[0,1],null],"weights":[[0.5,0.25],[0.5,0.25]]})"),
                    HasSubstr(R"("experts":[null,[7,8]],"weights":[[null,null],[0.5,0.25]]})"),
                    HasSubstr(R"("tokens":2,"nonfinite_rows":2})")));
  for (const char* name : {"t.jsonl", "ids.jsonl"}) {
    const RoutingTrace read = read_jsonl(folder / name)[0];
    EXPECT_EQ(read.columns().nonfinite_rows, keep.traces()[0].columns().nonfinite_rows);
    EXPECT_EQ(read.unknown_rows(), keep.traces()[0].unknown_rows());
  }
  EXPECT_EQ(read_jsonl(folder / "t.jsonl")[0].columns().experts, keep.traces()[0].columns().experts);
}

// Files of earlier versions hold the ids that NaN chose; their weights tell.
TEST(Jsonl, RowsWhoseWeightsAreNullAreReadAsNotKnown) {
  const std::string old =
      R"({"kind":"header","format":"routesig-trace","version":1,"routing":{"layers":2,"experts":9,"top_k":2}}
{"kind":"prompt","id":"a","prompt_tokens":1}
{"kind":"token","prompt":"a","position":0,"type":"prompt","experts":[[0,1],[5,6]],"weights":[[null,null],[0.5,0.1]]}
{"kind":"token","prompt":"a","position":1,"type":"prompt","experts":[[0,1],[5,6]],"weights":[[0.5,0.1],[0.5,null]]}
)";
  for (const char* counted : {"", R"(,"nonfinite_rows":2)", R"(,"nonfinite_rows":1)"}) {
    const TraceSet set =
        parse_jsonl(old + R"({"kind":"prompt_end","id":"a","tokens":2)" + counted + "}\n", "old", {.recover = true});
    EXPECT_THAT(set[0].columns().experts, ElementsAre(kNoExpert, kNoExpert, 5, 6, 0, 1, kNoExpert, kNoExpert));
    EXPECT_EQ(set[0].columns().nonfinite_rows, 2U) << counted;
  }
}

const std::string kRejected =
    R"({"kind":"header","format":"routesig-trace","version":1,"routing":{"layers":1,"experts":9,"top_k":1}}
{"kind":"prompt","id":"a","prompt_tokens":2}
{"kind":"token","prompt":"a","position":0,"type":"prompt","token":1,"experts":[[1]]}
{"kind":"token","prompt":"a","position":1,"type":"prompt","token":2,"experts":[[2]]}
{"kind":"token","prompt":"a","position":2,"type":"generation","token":3,"experts":[[3]]}
{"kind":"token","prompt":"a","position":3,"type":"generation","token":4,"experts":[[4]]}
{"kind":"token","prompt":"a","position":2,"type":"generation","token":5,"experts":[[5]]}
{"kind":"prompt_end","id":"a","tokens":5,"token_texts":["a","b","c","d","e"]}
)";

TEST(Jsonl, PositionsThatDoNotAscendAreRefusedOrTheEarlierTokensDropped) {
  EXPECT_THAT([&] { (void)parse_jsonl(kRejected, "t.jsonl", {.recover = true}); },
              ThrowsMessage<FormatError>(HasSubstr(
                  "t.jsonl, line 7: expected positions that ascend, got 2 after 3 at token 4 (prompt \"a\"; ")));
  const TraceSet set = parse_jsonl(kRejected, "t.jsonl", {.recover = true, .drop_invalid = true});
  EXPECT_THAT(set[0].columns().experts, ElementsAre(1, 2, 5));
  EXPECT_THAT(set[0].columns().positions, ElementsAre(0, 1, 2));
  EXPECT_THAT(set[0].columns().token_ids, ElementsAre(1, 2, 5));
  EXPECT_THAT(set[0].columns().token_texts, ElementsAre("a", "b", "e"));
  EXPECT_EQ(set[0].sequence().prompt_tokens, 2);
  EXPECT_EQ(set.dropped_tokens(), 2U);
}

TEST(JsonlRecorder, RefusesAPositionThatDoesNotAscendAndWritesNothingOfItsStep) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl", {.weights = false});
  recorder.begin({.layers = 1, .experts = 9, .top_k = 1});
  recorder.begin_sequence(0, {.id = "a"});
  recorder.begin_sequence(1, {.id = "b"});
  feed(recorder, {0, 1}, {3, 0}, {1, 1}, TokenType::prompt, {{1, 2}}, {{}});
  for (const int again : {3, 2})
    EXPECT_THAT([&] { feed(recorder, {1, 0}, {1, again}, {1, 1}, TokenType::prompt, {{1, 2}}, {{}}); },
                ThrowsMessage<std::invalid_argument>(HasSubstr(
                    sentence("JsonlRecorder: expected positions of prompt \"a\" to ascend, got ", again, " after 3"))));
  recorder.end();
  recorder.close();
  const TraceSet set = read_jsonl(folder / "t.jsonl");
  EXPECT_EQ(set[0].tokens() + set[1].tokens(), 2);
}

TEST(Jsonl, UnknownThingsAreLeftOut) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl", {.weights = false});
  EXPECT_FALSE(recorder.needs().weights);
  recorder.begin({.layers = 1, .experts = 2, .top_k = 1});
  recorder.begin_sequence(4, {.id = "a"});
  const std::vector<std::int32_t> sequence{4}, position{0};
  const std::vector<TokenType> type{TokenType::prompt};
  const std::vector<ExpertId> experts{1};
  recorder.step({.sequence = sequence, .position = position, .token = {}, .type = type});
  recorder.layer({.layer = 0, .experts = experts});
  recorder.end();
  recorder.close();
  EXPECT_THAT(
      bytes_of(folder / "t.jsonl"),
      ::testing::StartsWith(
          R"({"kind":"header","format":"routesig-trace","version":1,"routing":{"layers":1,"experts":2,"top_k":1,"ranked":true,"renormalized":false},"routesig":"0.1.0"}
{"kind":"prompt","id":"a","prompt_tokens":0}
{"kind":"token","prompt":"a","position":0,"type":"prompt","experts":[[1]]}
{"kind":"prompt_end","id":"a","tokens":1}
{"kind":"end","prompts":1,"tokens":1,)"));
  const TraceSet set = read_jsonl(folder / "t.jsonl");
  EXPECT_TRUE(set.complete());
  EXPECT_TRUE(set[0].columns().token_ids.empty());
  EXPECT_TRUE(set[0].columns().weights.empty());
  EXPECT_TRUE(set[0].columns().token_texts.empty());
}

TEST(Jsonl, RecordsWhatTheTraceRecorderRecordsHoweverSequencesInterleave) {
  const ScratchFolder folder;
  JsonlRecorder file(folder / "t.jsonl");
  TraceRecorder memory;
  TeeRecorder both({&file, &memory});
  testing::feed_random(both, {.layers = 3, .experts = 64, .top_k = 4}, /*sequences=*/7, /*steps=*/20, /*seed=*/1);
  file.close();
  const TraceSet read = read_jsonl(folder / "t.jsonl");
  ASSERT_EQ(read.size(), memory.traces().size());
  for (const RoutingTrace& expected : memory.traces()) {
    const auto found = std::ranges::find(read, expected.sequence(), &RoutingTrace::sequence);
    ASSERT_NE(found, read.end());
    EXPECT_EQ(found->columns().experts, expected.columns().experts);
    EXPECT_EQ(found->columns().weights, expected.columns().weights);
    EXPECT_EQ(found->columns().positions, expected.columns().positions);
    EXPECT_EQ(found->columns().token_ids, expected.columns().token_ids);
    EXPECT_EQ(found->columns().types, expected.columns().types);
    EXPECT_EQ(found->columns().nonfinite_rows, expected.columns().nonfinite_rows);
  }
}

TEST(Jsonl, SavingReadingAndSavingAgainGivesTheSameBytes) {
  const ScratchFolder folder;
  const auto info = testing::shape(4, 60, 6);
  std::vector<RoutingTrace> traces;
  for (int i = 0; i < 5; ++i) {
    const RoutingTrace plain = testing::random_trace(info, 11 * i, 5, static_cast<std::uint64_t>(i) + 1,
                                                     sentence("p", i), i == 2 ? "" : "task");
    TraceColumns columns = plain.columns();
    if (i == 1) columns.weights.clear();
    if (i == 2) columns.token_ids.clear();
    if (i == 3) columns.token_texts.assign(columns.positions.size(), " \"\\\n\u00e9\u4e16");
    if (i == 4)
      columns.experts[3] = kNoExpert, columns.experts[50] = 61,
      columns.weights[7] = std::numeric_limits<float>::infinity();
    columns.nonfinite_rows = static_cast<std::uint64_t>(i);
    traces.emplace_back(info, plain.sequence(), std::move(columns));
  }
  const TraceSet set(traces, {.settings = "{\"seed\": 3}", .prompts = 5});
  save_jsonl(set, folder / "a.jsonl");
  save_jsonl(set, folder / "b.jsonl");
  const TraceSet read = read_jsonl(folder / "a.jsonl");
  save_jsonl(read, folder / "c.jsonl");
  EXPECT_EQ(bytes_of(folder / "a.jsonl"), bytes_of(folder / "b.jsonl"));
  EXPECT_EQ(bytes_of(folder / "a.jsonl"), bytes_of(folder / "c.jsonl"));
  EXPECT_EQ(read.run(), set.run());
  EXPECT_EQ(read[4].columns().experts, set[4].columns().experts) << "rows known in part and ids out of range are kept";
  EXPECT_TRUE(std::isnan(read[4].columns().weights[7]));
  EXPECT_EQ(read[3].columns().token_texts, set[3].columns().token_texts);
}

TEST(Jsonl, TextOfAnyKindComesBack) {
  const ScratchFolder folder;
  const std::string wild = "\0 \n\r\t\b\f\"\\/<script>\x7f\u2028\u202e\u00e9\U0001F600"s + std::string(1'000'000, 'x');
  const RoutingTrace plain = testing::trace_of(testing::shape(1, 2, 1), {0, 1}, 1);
  TraceColumns columns = plain.columns();
  columns.token_texts = {wild, ""};
  const SequenceInfo sequence{.id = "../" + wild,
                              .task = wild,
                              .text = wild,
                              .group = wild,
                              .prompt_tokens = 1,
                              .fields = {{wild, R"({"a":[null,1e5,"\ud83d\ude00"]})"}, {"", "0"}}};
  save_jsonl(TraceSet({RoutingTrace(plain.shared_info(), sequence, columns)}), folder / "t.jsonl");
  const std::string bytes = bytes_of(folder / "t.jsonl");
  EXPECT_EQ(std::ranges::count(bytes, '\n'), 6);
  const TraceSet read = read_jsonl(folder / "t.jsonl");
  EXPECT_EQ(read[0].sequence(), sequence);
  EXPECT_EQ(read[0].columns().token_texts, columns.token_texts);
  EXPECT_EQ(read[0].columns().experts, columns.experts);
}

TEST(Jsonl, LayoutAndOrderOfOtherWritersReadTheSame) {
  const TraceSet ours = parse_jsonl(kByHand, "t", {.recover = true});
  std::string other =
      R"( { "version" : 1, "format" : "routesig-trace", "routing" : { "renormalized" : false, "model_layers" : [ 1 , 3 ], "top_k" : 2, "experts" : 300, "layers" : 2 }, "tokenizer":{"sha256":"cd"}, "model":{"sha256":"ab","dtype":"bfloat16","name":"tiny"},"prompts":{"sha256":"ef","count":1},"settings": {"max_new_tokens":1,"seed":0}	, "k\u0069nd" : "header" }
{"prompt_tokens": 1, "kind": "prompt", "fields": {"lang": "en" , "n": [1, 2] }, "id": "code-\u00301", "group": "w", "text": "Wr\u0069te", "task": "code"}
{"weights": [[5E-1, 0.1000000001], null], "experts": [[3, 299], [-1, 65535]], "token": 7, "type": "pr\u006fmpt", "position": 0, "prompt": "code-01", "kind": "token"}
{"kind": "token", "prompt": "code-01", "position": 1, "type": "generation", "token": -0, "experts": [[0, 10], [299, 100]], "weights": [[0.00001, -1e-400], [1.0, 0.333333334]]}
{"kind": "prompt_end", "nonfinite_rows": 1, "id": "code-01", "tokens": 2, "token_texts": ["H\u0069", "a"]}
)";
  const TraceSet theirs = parse_jsonl(other, "t", {.recover = true});
  ASSERT_EQ(theirs.size(), 1U);
  EXPECT_EQ(theirs[0].info(), ours[0].info());
  EXPECT_EQ(theirs[0].sequence(), ours[0].sequence());
  EXPECT_EQ(theirs.run(), ours.run());
  EXPECT_EQ(theirs[0].columns().experts, ours[0].columns().experts);
  EXPECT_EQ(theirs[0].columns().token_ids, ours[0].columns().token_ids);
  EXPECT_EQ(theirs[0].columns().token_texts, ours[0].columns().token_texts);
  const auto bits = [](const TraceSet& set) {
    std::vector<std::uint32_t> all;
    for (const float weight : set[0].columns().weights) all.push_back(std::bit_cast<std::uint32_t>(std::abs(weight)));
    return all;
  };
  EXPECT_EQ(bits(theirs), bits(ours));
}

TEST(Jsonl, UnknownFieldsAreIgnoredWithANoteEachOnce) {
  std::string text = kByHand;
  const auto insert = [&text](std::string_view before, std::string_view what) {
    for (std::size_t at = text.find(before); at != std::string::npos; at = text.find(before, at + what.size() + 1))
      text.insert(at, what);
  };
  insert(R"("position":)", R"("margin":{"a":[1,"x"]},)");
  insert(R"("ranked":)", R"("scoring":"softmax",)");
  std::vector<std::string> notes;
  const TraceSet set =
      parse_jsonl(text, "t.jsonl", {.recover = true}, [&](const std::string& note) { notes.push_back(note); });
  EXPECT_EQ(set[0].tokens(), 2);
  EXPECT_THAT(notes, ElementsAre(AllOf(HasSubstr("t.jsonl, line 1"), HasSubstr("\"scoring\"")),
                                 AllOf(HasSubstr("line 3"), HasSubstr("\"margin\"")), HasSubstr("recovered")));
}

TEST(Jsonl, ImpossibleRowsCanBeHeldAndAreMarkedSo) {
  std::string text = kByHand;
  text.replace(text.find("[3,299]"), 7, "[3,3]");
  text.replace(text.find("[0,10]"), 6, "[0,300]");
  const TraceSet set = parse_jsonl(text, "t", {.recover = true});
  EXPECT_EQ(set[0].state(0, 0), RowState::impossible);
  EXPECT_EQ(set[0].state(0, 1), RowState::impossible);
  EXPECT_EQ(set[0].state(1, 0), RowState::unknown);
  EXPECT_EQ(set[0].state(1, 1), RowState::known);
}

TEST(Jsonl, TheHeadReadsAsTheSamePromptsWithoutTokens) {
  const ScratchFolder folder;
  write_bytes(folder / "t.jsonl", kByHand);
  const TraceSet traces = read_jsonl(folder / "t.jsonl", {.recover = true});
  const std::string head = jsonl_head(traces);
  EXPECT_EQ(head, kByHand.substr(0, head.size()));
  const TraceSet again = parse_jsonl(head, "head", {.recover = true});
  ASSERT_THAT(again, SizeIs(1));
  EXPECT_EQ(again[0].sequence(), traces[0].sequence());
  EXPECT_EQ(again[0].info(), traces[0].info());
  EXPECT_EQ(again.run(), traces.run());
  EXPECT_EQ(again[0].tokens(), 0);
  EXPECT_THROW((void)jsonl_head(TraceSet()), std::invalid_argument);
}

TEST(Jsonl, SniffingTellsTracesFromOtherFiles) {
  EXPECT_TRUE(looks_like_jsonl_trace(std::string_view(kByHand).substr(0, 100)));
  EXPECT_TRUE(looks_like_jsonl_trace(R"({"prompt":"a","layer":0,"expert":12,"position":3,"type":"prompt"})"));
  EXPECT_FALSE(looks_like_jsonl_trace(""));
  EXPECT_FALSE(looks_like_jsonl_trace(R"({"id":"a","task":"b","text":"routesig-trace"})"));
  EXPECT_FALSE(looks_like_jsonl_trace("PAR1"));
}

// --- the writer's refusals ---------------------------------------------------------------------------------------

TEST(JsonlRecorder, RefusesARepeatedIdAndGoesOn) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl", {.weights = false});
  recorder.begin(kInfo);
  recorder.begin_sequence(0, {.id = "a"});
  EXPECT_THAT([&] { recorder.begin_sequence(1, {.id = "a"}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("\"a\" is already")));
  EXPECT_THROW(recorder.begin_sequence(0, {.id = "b"}), std::invalid_argument);
  recorder.end();
  recorder.close();
  EXPECT_EQ(read_jsonl(folder / "t.jsonl").size(), 1U);
}

TEST(JsonlRecorder, RefusesTextThatIsNotUtf8AndFieldsThatAreNotJson) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl");
  recorder.begin(kInfo);
  const auto refused = [&](const SequenceInfo& info) {
    EXPECT_THROW(recorder.begin_sequence(0, info), std::invalid_argument) << info.id;
  };
  for (const char* bad : {"\x80", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE4\xB8", "a\xFFz"}) {
    refused({.id = bad});
    refused({.id = "a", .task = bad});
    refused({.id = "a", .text = bad});
    refused({.id = "a", .group = bad});
    refused({.id = "a", .fields = {{bad, "1"}}});
  }
  for (const std::string& bad :
       {std::string(), std::string("1,2"), std::string("nul"), std::string("{"), std::string("[1\n]"),
        std::string("1}"), std::string("01"), std::string(63, '[') + std::string(63, ']')})
    refused({.id = "a", .fields = {{"f", bad}}});
  refused({.id = "a", .fields = {{"f", "1"}, {"f", "2"}}});
  refused({.id = "a", .prompt_tokens = -1});
  recorder.begin_sequence(0, {.id = "a", .fields = {{"f", std::string(62, '[') + std::string(62, ']')}}});
  recorder.end();
  recorder.close();
  EXPECT_EQ(read_jsonl(folder / "t.jsonl").size(), 1U) << "a refusal writes nothing";
  EXPECT_THROW(JsonlRecorder(folder / "u.jsonl", {.run = {.settings = "[]"}}), std::invalid_argument);
  const auto bad_vocabulary = std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"\xFF"});
  EXPECT_THROW(JsonlRecorder(folder / "u.jsonl", {.vocabulary = bad_vocabulary}), std::invalid_argument);
}

TEST(JsonlRecorder, RefusesExpertsThatCannotBeAndLayersWithoutTheirStep) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl", {.weights = false});
  recorder.begin(kInfo);
  recorder.begin_sequence(0, {.id = "a"});
  const std::vector<std::int32_t> zero{0};
  const std::vector<TokenType> type{TokenType::prompt};
  const std::vector<ExpertId> twice{1, 1}, ids{1, 2};
  recorder.step({.sequence = zero, .position = zero, .token = zero, .type = type});
  EXPECT_THAT([&] { recorder.layer({.layer = 0, .experts = twice}); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("JsonlRecorder: expected 2 distinct experts")));
  recorder.layer({.layer = 0, .experts = ids});
  recorder.end_sequence(0);
  EXPECT_THAT([&] { recorder.layer({.layer = 1, .experts = ids}); },
              ThrowsMessage<std::logic_error>(HasSubstr("JsonlRecorder: expected step before layer 1")));
  recorder.end();
  recorder.close();
  EXPECT_EQ(read_jsonl(folder / "t.jsonl")[0].state(0, 0), RowState::known);
}

TEST(JsonlRecorder, RefusesCallsOutOfOrderAndSpansOfTheWrongSize) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl");
  EXPECT_THROW(recorder.close(), std::logic_error);
  EXPECT_THROW(recorder.begin_sequence(0, {.id = "a"}), std::logic_error);
  recorder.begin(kInfo);
  RoutingInfo other = kInfo;
  other.top_k = 3;
  EXPECT_THROW(recorder.begin(other), std::invalid_argument);
  recorder.begin_sequence(0, {.id = "a"});
  const std::vector<std::int32_t> zero{0}, one{1}, negative{-1};
  const std::vector<TokenType> type{TokenType::prompt};
  EXPECT_THROW(recorder.step({.sequence = one, .position = zero, .token = zero, .type = type}), std::invalid_argument);
  EXPECT_THROW(recorder.step({.sequence = zero, .position = negative, .token = zero, .type = type}),
               std::invalid_argument);
  EXPECT_THROW(recorder.step({.sequence = zero, .position = {}, .token = zero, .type = type}), std::invalid_argument);
  recorder.step({.sequence = zero, .position = zero, .token = zero, .type = type});
  const std::vector<ExpertId> ids{1, 2};
  const std::vector<float> weights{0.5F, 0.25F};
  EXPECT_THROW(recorder.layer({.layer = 0, .experts = ids}), std::invalid_argument);
  EXPECT_THROW(recorder.layer({.layer = 2, .experts = ids, .weights = weights}), std::invalid_argument);
  recorder.layer({.layer = 1, .experts = ids, .weights = weights});
  EXPECT_THROW(recorder.layer({.layer = 0, .experts = ids, .weights = weights}), std::logic_error) << "it is written";
  EXPECT_THROW(recorder.step({.sequence = zero, .position = one, .token = {}, .type = type}), std::invalid_argument);
  EXPECT_THROW(recorder.close(), std::logic_error) << "a sequence is open";
  EXPECT_THAT([&] { recorder.begin(kInfo); },
              ThrowsMessage<std::logic_error>(HasSubstr("expected end before another begin (1 prompts are open")));
  recorder.end();
  EXPECT_THAT([&] { recorder.layer({.layer = 0, .experts = ids, .weights = weights}); },
              ThrowsMessage<std::logic_error>(HasSubstr("JsonlRecorder: expected begin before layer")));
  recorder.close();
  recorder.close();
  EXPECT_THROW(recorder.begin(kInfo), std::logic_error);
  const TraceSet set = read_jsonl(folder / "t.jsonl");
  ASSERT_EQ(set[0].tokens(), 1);
  EXPECT_EQ(set[0].state(0, 0), RowState::unknown) << "the layer that was not heard";
  EXPECT_THAT(set[0].experts(1, 0), ElementsAre(1, 2));
}

TEST(JsonlRecorder, SeveralRunsGoToOneFile) {
  const ScratchFolder folder;
  JsonlRecorder recorder(folder / "t.jsonl");
  for (const char* id : {"a", "b", "c"}) {
    recorder.begin(kInfo);
    recorder.begin_sequence(0, {.id = id});
    feed(recorder, {0}, {0}, {1}, TokenType::prompt, {{1, 2}, {3, 4}}, {{0.5F, 0.25F}, {0.5F, 0.25F}});
    recorder.end();
  }
  recorder.close();
  EXPECT_EQ(read_jsonl(folder / "t.jsonl").size(), 3U);
}

}  // namespace
}  // namespace routesig
