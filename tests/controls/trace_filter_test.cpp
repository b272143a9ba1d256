#include "routesig/controls/trace_filter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "../support/traces.hpp"
#include "../support/words.hpp"
#include "routesig/controls/common_prefix.hpp"

namespace routesig {
namespace {

using testing::random_trace;
using testing::shape;
using testing::worded;

TEST(PositionMatched, KeepsTheFirstTokensOfTheSetWithAllTheirColumns) {
  const auto info = shape(2, 8, 3);
  const TraceSet traces({random_trace(info, 40, 25, 1, "long"), random_trace(info, 30, 20, 2, "short")});
  const FilteredTraces out = position_matched(traces, {.tokens = TokenSet::prompt, .length = 22});
  ASSERT_EQ(out.traces.size(), 1U);
  EXPECT_EQ(out.length, 22U);
  EXPECT_EQ(out.tokens_dropped, 18U);
  ASSERT_EQ(out.left_out.size(), 1U);
  EXPECT_EQ(out.left_out[0].id, "short");
  EXPECT_EQ(out.left_out[0].reason, "20 tokens, fewer than the 22 compared");
  const RoutingTrace &a = traces[0], &b = out.traces[0];
  EXPECT_EQ(b.tokens(), 22);
  EXPECT_EQ(b.sequence().prompt_tokens, 22);
  for (int t = 0; t < 22; ++t)
    for (int l = 0; l < 2; ++l) {
      EXPECT_TRUE(std::ranges::equal(a.experts(l, t), b.experts(l, t)));
      EXPECT_TRUE(std::ranges::equal(a.weights(l, t), b.weights(l, t)));
    }
}

TEST(PositionMatched, GenerationStartsBehindThePrompt) {
  const auto info = shape(1, 8, 2);
  const TraceSet traces({random_trace(info, 40, 15, 1), random_trace(info, 36, 10, 2)});
  const FilteredTraces out = position_matched(traces, {.tokens = TokenSet::generation});
  EXPECT_EQ(out.length, 25U);  // 5 % of the way from 25 to 26, rounded down
  ASSERT_EQ(out.traces.size(), 2U);
  EXPECT_EQ(out.traces[1].columns().positions.front(), 10);
  EXPECT_EQ(out.traces[1].sequence().prompt_tokens, 0);
  EXPECT_TRUE(std::ranges::equal(out.traces[1].experts(0, 0), traces[1].experts(0, 10)));
}

TEST(PositionMatched, LengthIsTheFivePercentQuantileButAtLeastSixteen) {
  EXPECT_EQ(detail::matched_length({}), 16U);
  EXPECT_EQ(detail::matched_length({3, 4, 100}), 16U);
  std::vector<std::size_t> lengths;
  for (std::size_t i = 0; i <= 40; ++i) lengths.push_back(100 + 10 * (40 - i));
  EXPECT_EQ(detail::matched_length(lengths), 120U);
  lengths[39] = 105;  // sorted: 100, 105, 120, ...: the quantile is the third
  EXPECT_EQ(detail::matched_length(lengths), 120U);
}

TEST(DropFirst, DropsPositionZeroAlone) {
  const auto info = shape(1, 4, 1);
  const TraceSet traces({worded(info, {5, 6}, {0, 1}, "a", "x", 0), worded(info, {5, 6}, {2, 3}, "b", "x", 7),
                         worded(info, {5}, {2}, "c", "x", 0)});
  const FilteredTraces out = drop_first(traces);
  ASSERT_EQ(out.traces.size(), 2U);
  EXPECT_EQ(out.traces[0].columns().token_ids, (std::vector<std::int32_t>{6}));
  EXPECT_EQ(out.traces[0].columns().experts, (std::vector<ExpertId>{1}));
  EXPECT_EQ(out.traces[0].sequence().prompt_tokens, 1);
  EXPECT_EQ(out.traces[1].tokens(), 2);
  EXPECT_EQ(out.tokens_dropped, 1U);
  ASSERT_EQ(out.left_out.size(), 1U);
  EXPECT_EQ(out.left_out[0].id, "c");
}

TEST(WithoutDuplicates, KeepsTheFirstOfTheSameIds) {
  const auto info = shape(1, 4, 1);
  const TraceSet traces({worded(info, {5, 6}, {0, 1}, "a", "x"), worded(info, {5, 7}, {0, 1}, "b", "x"),
                         worded(info, {5, 6}, {2, 1}, "c", "y"), worded(info, {}, {}, "d", "x"),
                         worded(info, {}, {}, "e", "x")});
  const FilteredTraces out = without_duplicates(traces);
  EXPECT_EQ(out.traces.size(), 4U) << "prompts without tokens have nothing to compare";
  ASSERT_EQ(out.left_out.size(), 1U);
  EXPECT_EQ(out.left_out[0].id, "c");
  EXPECT_EQ(out.left_out[0].reason, "same token ids as \"a\"");
  EXPECT_EQ(without_duplicates(traces, TokenSet::generation).traces.size(), 5U);
}

TEST(WithoutDuplicates, NeedsTokenIds) {
  const auto info = shape(1, 4, 1);
  TraceColumns columns = worded(info, {1}, {0}, "t", "x").columns();
  columns.token_ids.clear();
  EXPECT_THROW((void)without_duplicates(TraceSet({RoutingTrace(info, {.id = "t"}, columns)})), std::invalid_argument);
}

TEST(CommonPrefix, IsWhatAnotherPromptOfTheTaskBeginsWithToo) {
  const auto info = shape(1, 8, 1);
  const auto prompt = [&](const char* id, const char* task, std::vector<std::int32_t> words, const char* group = "") {
    std::vector<ExpertId> experts;
    for (const std::int32_t word : words) experts.push_back(static_cast<ExpertId>(word % 8));
    const RoutingTrace trace = worded(info, std::move(words), std::move(experts), id, task, 0);
    SequenceInfo sequence = trace.sequence();
    sequence.group = group;
    return RoutingTrace(info, std::move(sequence), trace.columns());
  };
  const TraceSet set({prompt("p", "a", {1, 2, 3, 4}, "x"), prompt("q", "a", {1, 2, 3, 5}, "x"),
                      prompt("r", "a", {1, 2, 6}), prompt("s", "b", {1, 7}), prompt("t", "b", {2}),
                      prompt("none", "", {1, 2, 3, 4})});
  const CommonPrefixes found = common_prefixes(set.traces());
  EXPECT_TRUE(found.by_token_ids);
  EXPECT_EQ(found.own, (std::vector<std::size_t>{2, 2, 2, 0, 0, 0}));
  EXPECT_EQ(found.foreign, (std::vector<std::size_t>{1, 1, 1, 1, 0, 0}));
  EXPECT_EQ(common_prefixes(set.traces(), false).own, (std::vector<std::size_t>{3, 3, 2, 0, 0, 0}));

  const FilteredTraces rest = drop_common_prefix(set, false);
  ASSERT_EQ(rest.traces.size(), 6U);
  EXPECT_EQ(rest.traces[0].columns().token_ids, (std::vector<std::int32_t>{4}));
  EXPECT_EQ(rest.traces[2].columns().token_ids, (std::vector<std::int32_t>{6}));
  EXPECT_EQ(rest.tokens_dropped, 8U);
  const FilteredTraces twice = drop_common_prefix(TraceSet({set[3], set[3]}));
  EXPECT_TRUE(twice.traces.empty());
  EXPECT_EQ(twice.left_out.at(0).reason, "another prompt of its task begins with all of its tokens");

  // Without token ids beginnings are equal where all layers pick the same experts: words 1 and 9 do.
  TraceSet unnamed;
  for (const RoutingTrace& trace : {prompt("p", "a", {1, 2, 3}), prompt("q", "a", {9, 2, 4}), prompt("r", "b", {3})}) {
    TraceColumns columns = trace.columns();
    columns.token_ids.clear();
    unnamed.push_back(RoutingTrace(info, trace.sequence(), std::move(columns)));
  }
  const CommonPrefixes routed = common_prefixes(unnamed.traces());
  EXPECT_FALSE(routed.by_token_ids);
  EXPECT_EQ(routed.own, (std::vector<std::size_t>{2, 2, 0}));
}

}  // namespace
}  // namespace routesig
