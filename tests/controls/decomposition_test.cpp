#include "routesig/controls/decomposition.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../support/words.hpp"
#include "routesig/similarity.hpp"
#include "routesig/statistics/bootstrap.hpp"

namespace routesig {
namespace {

using testing::draw;
using testing::shape;
using testing::worded;

// Prompts of `tokens` words; no word occurs twice anywhere.
RoutingTrace own_words(int tokens, int number, const std::string& task) {
  const RoutingTrace random = testing::random_trace(shape(2, 8, 2), tokens, tokens, static_cast<std::uint64_t>(number),
                                                    sentence("p", number), task);
  TraceColumns columns = random.columns();
  for (std::int32_t& id : columns.token_ids) id += 1000 * number;
  return {random.shared_info(), random.sequence(), std::move(columns)};
}

TEST(Decomposition, LengthByHandAndWordsOfOnePromptHaveNoContext) {
  TraceSet set;
  for (int i = 0; i < 12; ++i) set.push_back(own_words(i < 6 ? 200 : 8, i, i < 6 ? "long" : "short"));
  const Decomposition parts = decompose(token_table(set), {.shuffles = 3, .bootstrap = 0});
  // r = 8/2 - 1 = 3; as many pairs within one task as within the other.
  const double a = 1.0 / (1.0 + 3.0 / 200.0), b = 1.0 / (1.0 + 3.0 / 8.0);
  ASSERT_TRUE(parts.overall);
  EXPECT_NEAR(parts.overall->length.value, (a + b) / 2.0 - std::sqrt(a * b), 1e-14);
  EXPECT_NEAR(parts.layers[1]->length.value, parts.overall->length.value, 1e-14);
  EXPECT_DOUBLE_EQ(parts.overall->context.value, 0.0) << "nothing can move";
  EXPECT_NEAR(parts.overall->vocabulary.value, parts.overall->total.value - parts.overall->length.value, 1e-14);
  EXPECT_EQ(parts.no_bands, "no bootstrap was asked for");
  EXPECT_FALSE(parts.overall->total.band);
}

TEST(Decomposition, OneWordRoutedByTaskIsAllContext) {
  const auto info = shape(1, 2, 1);
  TraceSet set;
  for (const int p : {0, 1, 2, 3})
    set.push_back(worded(info, {7}, {static_cast<ExpertId>(p / 2)}, std::to_string(p), p < 2 ? "a" : "b"));
  const Decomposition parts = decompose(token_table(set), {.shuffles = 4000, .bootstrap = 100});
  EXPECT_DOUBLE_EQ(parts.overall->total.value, 1.0);
  EXPECT_NEAR(parts.overall->length.value, 0.0, 1e-15);
  EXPECT_NEAR(parts.overall->vocabulary.value, 0.0, 0.05);  // 4.5 standard errors
  EXPECT_NEAR(parts.overall->context.value, 1.0, 0.05);
  EXPECT_EQ(parts.no_bands, "a task has 2 prompts, fewer than 5");
}

TEST(Decomposition, PartsAddUpAndAreMeansOverLayers) {
  const Decomposition parts = decompose(token_table(draw({.context = 0.4}, 3)), {.shuffles = 20, .bootstrap = 50});
  const auto check = [](const Parts& p) {
    EXPECT_NEAR(p.length.value + p.vocabulary.value + p.context.value, p.total.value, 1e-14);
    for (const Part* part : {&p.total, &p.length, &p.vocabulary, &p.context}) {
      ASSERT_TRUE(part->band);
      EXPECT_LE(part->band->low, part->band->high);
    }
  };
  check(*parts.overall);
  for (const auto& layer : parts.layers) check(*layer);
  EXPECT_NEAR(parts.overall->context.value, (parts.layers[0]->context.value + parts.layers[1]->context.value) / 2.0,
              1e-14);
  EXPECT_EQ(parts.no_bands, "");
}

TEST(Decomposition, GivenLengthTakesThePlaceOfTheClosedForm) {
  const TokenTable table = token_table(draw({.context = 0.4}, 3));
  const Decomposition closed = decompose(table, {.shuffles = 5, .bootstrap = 50});
  const Decomposition given = decompose(table, {.shuffles = 5, .bootstrap = 50, .length = {0.25, 0.75}});
  EXPECT_DOUBLE_EQ(given.layers[1]->length.value, 0.75);
  EXPECT_DOUBLE_EQ(given.overall->length.value, 0.5);
  EXPECT_DOUBLE_EQ(given.overall->context.value, closed.overall->context.value);
  EXPECT_NEAR(given.overall->length.band->low - given.overall->length.value,
              closed.overall->length.band->low - closed.overall->length.value, 1e-14);
  EXPECT_THROW((void)decompose(table, {.length = {0.1}}), std::invalid_argument);
  EXPECT_THROW((void)decompose(table, {.length = {0.1, std::nan("")}}), std::invalid_argument);
}

TEST(Decomposition, BandsAreThoseOfTheBootstrapAndTakeWholeGroups) {
  // The band of a layer's total is the percentile band of D of bootstrap.hpp under the same draws, around D.
  const TraceSet set = testing::grouped(draw({.tasks = 2, .prompts = 12, .context = 0.4}, 3), 2);
  for (const bool groups : {true, false}) {
    const TokenTable table = token_table(set, {.groups = groups});
    const auto counts = table.counts(table.unshuffled());
    const std::vector<double> values(counts.begin(), counts.end());
    auto similarity = similarity_layers(SignatureView(values, 24, 2, table.experts));
    similarity.resize(24 * 24);
    const Decomposition parts = decompose(table, {.shuffles = 2, .bootstrap = 200, .seed = 5});
    const Units units = table.units();
    EXPECT_EQ(units.size(), groups ? 12U : 24U);
    const detail::Resamples resamples(units, {.draws = 200, .seed = 5});
    std::vector<double> differences;
    const auto found = detail::resampled(units, resamples, similarity, {});
    for (std::size_t b = 1; b <= 200; ++b) differences.push_back(found[b][2]);
    const Spread expected = spread(differences);
    const Part& total = parts.layers[0]->total;
    EXPECT_NEAR(total.value, found[0][2], 1e-13);
    ASSERT_TRUE(total.band);
    EXPECT_NEAR(total.band->low, expected.low + total.value - expected.mean, 1e-12);
    EXPECT_NEAR(total.band->high, expected.high + total.value - expected.mean, 1e-12);
  }
}

TEST(Decomposition, AGroupOfTwoTasksIsRefused) {
  TraceSet set;
  for (const RoutingTrace& trace : draw({.tasks = 2, .prompts = 6, .context = 0.4}, 3)) {
    SequenceInfo sequence = trace.sequence();
    sequence.group = "all";
    set.push_back(RoutingTrace(trace.shared_info(), std::move(sequence), trace.columns()));
  }
  EXPECT_THROW((void)decompose(token_table(set)), std::invalid_argument);
  EXPECT_EQ(decompose(token_table(set, {.groups = false}), {.shuffles = 2, .bootstrap = 20}).no_bands, "");
}

TEST(Decomposition, ADrawHoldsEveryPromptAsOftenAsItWasDrawn) {
  const TokenTable table = token_table(draw({.tasks = 2, .prompts = 3, .tokens = 8}, 1));
  const detail::RowLabels labels = detail::row_labels(table);
  const auto begins = table.begins();
  const std::vector<std::size_t> times{2, 0, 1, 0, 3, 1};
  const detail::ResampledTable drawn(table, labels, begins, times);
  EXPECT_EQ(drawn.rows(), 7U);
  EXPECT_EQ(drawn.labels().task, (std::vector<int>{0, 0, 0, 1, 1, 1, 1}));
  EXPECT_EQ(drawn.labels().unit, (std::vector<int>{0, 0, 2, 4, 4, 4, 5}));
  // Within strata: what the shuffle deals out is what was drawn, expert by expert.
  const auto counts = table.counts(table.unshuffled());
  Random random(4);
  const auto own = drawn.repeated(std::span(counts), table.layers * table.experts),
             shuffled = drawn.shuffled_counts(random);
  ASSERT_EQ(own.size(), shuffled.size());
  EXPECT_NE(own, shuffled);
  for (std::size_t cell = 0; cell < table.layers * table.experts; ++cell) {
    std::uint32_t before = 0, after = 0;
    for (std::size_t row = 0; row < 7; ++row) {
      before += own[row * table.layers * table.experts + cell];
      after += shuffled[row * table.layers * table.experts + cell];
    }
    EXPECT_EQ(before, after);
  }
}

TEST(Decomposition, CrossingTokensAreThoseWhoseWordOccursInTwoTasks) {
  const auto info = shape(1, 4, 1);
  const TraceSet set({worded(info, {1, 2, 3}, {0, 1, 2}, "p", "a"), worded(info, {2, 3, 1}, {1, 2, 3}, "q", "a"),
                      worded(info, {3, 4, 3}, {0, 1, 2}, "r", "b"), worded(info, {5, 5}, {0, 1}, "s", "b")});
  const TokenTable crossing = token_table(set).crossing();
  EXPECT_EQ(crossing.token_id, (std::vector<std::int32_t>{3, 3, 3, 3}));  // word 3 alone
  EXPECT_EQ(crossing.trace, (std::vector<std::size_t>{0, 1, 2}));         // s has none
  EXPECT_EQ(crossing.prompt, (std::vector<std::uint32_t>{0, 1, 2, 2}));
  EXPECT_EQ(crossing.task, (std::vector<int>{0, 0, 1}));
  EXPECT_EQ(crossing.strata, (std::vector<std::vector<std::uint32_t>>{{0, 1, 2, 3}}));
  EXPECT_EQ(crossing.row(3, 0)[0], 2);
  EXPECT_EQ(crossing.across_tasks, 4U);
}

TEST(Decomposition, BandsAreAsWideAsStudiesSpread) {
  // The sd of D over 200 fresh studies against the bands of 20 of them: a 95 % band of a normal is 3.92 sd wide.
  std::vector<double> values;
  double width = 0.0;
  for (std::uint64_t study = 0; study < 200; ++study) {
    const TokenTable table = token_table(draw({.prompts = 12, .context = 0.4}, 100 + study));
    const Decomposition parts = decompose(table, {.shuffles = 5, .bootstrap = study < 20 ? 200U : 0U});
    values.push_back(parts.overall->total.value);
    if (const auto& band = parts.overall->total.band) width += (band->high - band->low) / 20.0;
  }
  EXPECT_NEAR(width / 3.92 / spread(values).sd, 1.0, 0.3);
}

TEST(Decomposition, IsAbsentWithoutBothKindsOfPairs) {
  EXPECT_FALSE(decompose(token_table(TraceSet())).overall);
  const Decomposition one_task = decompose(token_table(draw({.tasks = 1}, 1)), {.shuffles = 2});
  EXPECT_TRUE(!one_task.overall && one_task.layers.empty());
}

TEST(Decomposition, DoesNotDependOnPromptOrderOrThreads) {
  const TraceSet set = draw({.context = 0.3}, 8);
  std::vector<RoutingTrace> reversed(set.begin(), set.end());
  std::ranges::reverse(reversed);
  const auto band = [](const TraceSet& traces) {
    return decompose(token_table(traces), {.shuffles = 10, .bootstrap = 40}).layers[1]->context.band;
  };
  const auto once = band(set);
  EXPECT_EQ(band(TraceSet(reversed))->low, once->low);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(band(set)->low, once->low);
    EXPECT_EQ(band(set)->high, once->high);
  }
  set_num_threads(0);
}

TEST(Decomposition, ProgressCountsEveryPieceOnce) {
  std::size_t last = 0, total = 0;
  set_num_threads(1);
  (void)decompose(token_table(draw({}, 1)), {.shuffles = 10, .bootstrap = 40}, [&](std::size_t done, std::size_t all) {
    EXPECT_GE(done, last);
    last = done;
    total = all;
  });
  set_num_threads(0);
  EXPECT_EQ(last, total);
  EXPECT_EQ(total, 10U + 40U);  // shuffles, draws
}

}  // namespace
}  // namespace routesig
