#include "routesig/controls/overlap_ladder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <numeric>
#include <vector>

#include "../support/words.hpp"

namespace routesig {
namespace {

using testing::draw;
using testing::shape;
using testing::worded;

TEST(OverlapLadder, ByHand) {
  // Top-2 of 4. Words 1 and 2; a: p and q, b: r.
  const auto info = shape(1, 4, 2);
  const TraceSet set({worded(info, {1, 1}, {0, 1, 0, 2}, "p", "a"), worded(info, {1}, {0, 3}, "q", "a"),
                      worded(info, {1, 2}, {1, 2, 2, 3}, "r", "b")});
  const OverlapLadder ladder = overlap_ladder(token_table(set));
  const LadderLayer& layer = ladder.layers.at(0);
  // Word 1 in p, q: {01}{03} 1, {02}{03} 1: 2 of 2 pairs x 2. In a, b: {01}{12} 1, {02}{12} 1, {03}{12} 0: 2 of 3 x 2.
  // Words 1 and 2: {01}{23} 0, {02}{23} 1, {03}{23} 1: 2 of 3 x 2. The pairs within p and within r do not count.
  EXPECT_EQ(layer.pairs, (std::array<std::uint64_t, 4>{2, 3, 0, 3}));
  EXPECT_DOUBLE_EQ(*layer.overlap[kSameIdSameTask], 0.5);
  EXPECT_DOUBLE_EQ(*layer.overlap[kSameIdOtherTask], 1.0 / 3.0);
  EXPECT_FALSE(layer.overlap[kOtherIdSameTask]);
  EXPECT_DOUBLE_EQ(*layer.overlap[kOtherIdOtherTask], 1.0 / 3.0);
  // Chosen 3, 2, 3, 2 times by 5 tokens.
  EXPECT_DOUBLE_EQ(*layer.chance, (9.0 + 4.0 + 9.0 + 4.0) / 25.0 / 2.0);
  // Only word 1 has both kinds of pairs.
  EXPECT_DOUBLE_EQ(layer.effect->value, 0.5 - 1.0 / 3.0);
  EXPECT_FALSE(layer.effect->error);  // of two prompts and one
  EXPECT_DOUBLE_EQ(ladder.effect->value, layer.effect->value);
  EXPECT_EQ(ladder.token_ids, 1U);
  EXPECT_DOUBLE_EQ(*ladder.overlap[kSameIdSameTask], 0.5);
  EXPECT_DOUBLE_EQ(*ladder.chance, *layer.chance);
}

// Pair by pair, as the definition reads. For Delta alone, pairs of tokens of unit u count `times`[u] times as often.
LadderLayer slow_layer(const TokenTable& table, std::size_t layer, const std::vector<double>& times = {}) {
  const Units units = table.units();
  LadderLayer out;
  std::array<double, 4> sums{};
  struct OfId {
    double same = 0.0, other = 0.0, same_pairs = 0.0, other_pairs = 0.0;
  };
  std::map<std::int32_t, OfId> ids;
  for (std::size_t s = 0; s < table.tokens(); ++s)
    for (std::size_t t = 0; t < s; ++t) {
      const auto a = table.row(s, layer), b = table.row(t, layer);
      if (units.of(table.prompt[s]) == units.of(table.prompt[t]) || a[0] == kNoExpert || b[0] == kNoExpert) continue;
      const bool same_id = table.token_id[s] == table.token_id[t];
      const bool same_task = table.task[table.prompt[s]] == table.task[table.prompt[t]];
      double shared = 0.0;
      for (const ExpertId e : a) shared += std::ranges::find(b, e) != b.end() ? 1.0 : 0.0;
      shared /= static_cast<double>(table.top_k);
      const std::size_t rung = (same_id ? 0U : 2U) + (same_task ? 0U : 1U);
      sums[rung] += shared;
      ++out.pairs[rung];
      if (!same_id) continue;
      OfId& id = ids[table.token_id[s]];
      double often = 1.0;
      for (const std::size_t token : {s, t})
        if (!times.empty()) often *= times[static_cast<std::size_t>(units.of(table.prompt[token]))];
      (same_task ? id.same : id.other) += often * shared;
      (same_task ? id.same_pairs : id.other_pairs) += often;
    }
  for (std::size_t r = 0; r < 4; ++r)
    if (out.pairs[r] > 0) out.overlap[r] = sums[r] / static_cast<double>(out.pairs[r]);
  double weighted = 0.0, weights = 0.0;
  for (const auto& [id, x] : ids) {
    if (x.same_pairs == 0.0 || x.other_pairs == 0.0) continue;
    const double w = x.same_pairs * x.other_pairs / (x.same_pairs + x.other_pairs);
    weighted += w * (x.same / x.same_pairs - x.other / x.other_pairs);
    weights += w;
  }
  if (weights > 0.0) out.effect = MatchedEffect{.value = weighted / weights};
  return out;
}

TEST(OverlapLadder, EqualsTheSumOverPairs) {
  TraceSet set = draw({.tasks = 3, .prompts = 3, .tokens = 12, .words = 30, .context = 0.4}, 2);
  // Rows known in one layer only, and one prompt of a task of its own.
  const ExpertId x = kNoExpert;
  set.push_back(worded(set[0].shared_info(), {0, 1, 2}, {0, 1, x, x, x, x, 2, 3, 4, 5, 6, 7}, "partly", "task0"));
  set.push_back(worded(set[0].shared_info(), {0, 1, 0}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1}, "alone", "task9"));
  const TokenTable table = token_table(set);
  const OverlapLadder ladder = overlap_ladder(table);
  for (std::size_t l = 0; l < table.layers; ++l) {
    const LadderLayer slow = slow_layer(table, l), &fast = ladder.layers[l];
    EXPECT_EQ(fast.pairs, slow.pairs);
    for (std::size_t r = 0; r < 4; ++r) EXPECT_NEAR(*fast.overlap[r], *slow.overlap[r], 1e-14);
    EXPECT_NEAR(fast.effect->value, slow.effect->value, 1e-14);
  }
  EXPECT_NE(ladder.layers[0].pairs, ladder.layers[1].pairs);
}

TEST(OverlapLadder, TheErrorIsThatOfTheDerivatives) {
  const TraceSet plain = draw({.tasks = 2, .prompts = 15, .tokens = 10, .words = 12, .context = 0.4}, 2);
  for (const bool groups : {false, true}) {
    const TokenTable table = token_table(groups ? testing::grouped(plain, 3) : plain);
    const OverlapLadder found = overlap_ladder(table);
    ASSERT_EQ(found.units, groups ? 10U : 30U);
    ASSERT_EQ(found.fewest, found.units / 2);
    const auto n = static_cast<double>(found.units);
    constexpr double kStep = 1e-4;
    double squares = 0.0, of_layer = 0.0;
    for (std::size_t u = 0; u < found.units; ++u) {
      std::vector<double> derivative(table.layers);
      for (const double step : {kStep, -kStep}) {
        std::vector<double> times(found.units, 1.0);
        times[u] += step;
        for (std::size_t l = 0; l < table.layers; ++l)
          derivative[l] += slow_layer(table, l, times).effect->value / (2.0 * step);
      }
      const double mean =
          std::accumulate(derivative.begin(), derivative.end(), 0.0) / static_cast<double>(table.layers);
      squares += mean * mean;
      of_layer += derivative[1] * derivative[1];
    }
    EXPECT_NEAR(*found.effect->error, std::sqrt(squares * n / (n - 1.0)), 1e-8);
    EXPECT_NEAR(*found.layers[1].effect->error, std::sqrt(of_layer * n / (n - 1.0)), 1e-8);
  }
}

TEST(OverlapLadder, ContextAloneMakesAnEffect) {
  const auto with = overlap_ladder(token_table(draw({.context = 0.8}, 1)));
  EXPECT_GT(with.effect->value, 0.05);
  EXPECT_GT(with.effect->value, 3.0 * *with.effect->error);
  int above = 0;
  for (std::uint64_t i = 0; i < 200; ++i) {
    const auto effect = *overlap_ladder(token_table(draw({}, 500 + i))).effect;
    above += effect.value > 1.96 * *effect.error ? 1 : 0;
  }
  EXPECT_LE(above, 12);  // Binomial(200, .025): 12 or fewer with probability .998
}

TEST(OverlapLadder, OneGroupPerTaskHasNoEffect) {
  const TraceSet set = testing::grouped(draw({.tasks = 2, .prompts = 4, .context = 0.4}, 2), 4);
  EXPECT_FALSE(overlap_ladder(token_table(set)).effect);  // no pair of one task is left
  const OverlapLadder alone = overlap_ladder(token_table(set, {.groups = false}));
  EXPECT_TRUE(alone.effect);
  EXPECT_FALSE(alone.effect->error);  // of four prompts
}

TEST(OverlapLadder, WhatIsUndefinedIsAbsent) {
  const auto info = shape(1, 4, 1);
  const OverlapLadder none = overlap_ladder(token_table(TraceSet()));
  EXPECT_TRUE(none.layers.empty() && !none.effect && !none.chance && !none.overlap[0]);
  const OverlapLadder apart =
      overlap_ladder(token_table(TraceSet({worded(info, {1}, {0}, "p", "a"), worded(info, {2}, {1}, "q", "b")})));
  EXPECT_TRUE(!apart.overlap[kSameIdSameTask] && !apart.effect && !apart.layers[0].effect);
  EXPECT_DOUBLE_EQ(*apart.overlap[kOtherIdOtherTask], 0.0);
  EXPECT_DOUBLE_EQ(*apart.chance, 0.5);
  EXPECT_EQ(apart.token_ids, 0U);
}

TEST(OverlapLadder, DoesNotDependOnPromptOrderOrThreads) {
  const TraceSet set = draw({.context = 0.3}, 8);
  std::vector<RoutingTrace> reversed(set.begin(), set.end());
  std::ranges::reverse(reversed);
  const auto once = overlap_ladder(token_table(set));
  EXPECT_NEAR(overlap_ladder(token_table(TraceSet(reversed))).effect->value, once.effect->value, 1e-15);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto again = overlap_ladder(token_table(set));
    EXPECT_EQ(again.effect->value, once.effect->value);
    EXPECT_EQ(again.layers[1].effect->error, once.layers[1].effect->error);
    EXPECT_EQ(again.overlap, once.overlap);
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace routesig
