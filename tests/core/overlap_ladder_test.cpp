#include "routesig/overlap_ladder.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
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
  const OverlapLadder ladder = overlap_ladder(token_table(set), {.permutations = 5});
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
  EXPECT_DOUBLE_EQ(*layer.effect, 0.5 - 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(ladder.effect->observed, *layer.effect);
  EXPECT_EQ(ladder.token_ids, 1U);
  EXPECT_DOUBLE_EQ(*ladder.overlap[kSameIdSameTask], 0.5);
  EXPECT_DOUBLE_EQ(*ladder.chance, *layer.chance);
}

// Pair by pair, as the definition reads.
LadderLayer slow_layer(const TokenTable& table, std::size_t layer) {
  LadderLayer out;
  std::array<double, 4> sums{};
  struct OfId {
    double same = 0.0, other = 0.0, same_pairs = 0.0, other_pairs = 0.0;
  };
  std::map<std::int32_t, OfId> ids;
  for (std::size_t s = 0; s < table.tokens(); ++s)
    for (std::size_t t = 0; t < s; ++t) {
      const auto a = table.row(s, layer), b = table.row(t, layer);
      if (table.units().of(table.prompt[s]) == table.units().of(table.prompt[t]) || a[0] == kNoExpert ||
          b[0] == kNoExpert)
        continue;
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
      (same_task ? id.same : id.other) += shared;
      (same_task ? id.same_pairs : id.other_pairs) += 1.0;
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
  if (weights > 0.0) out.effect = weighted / weights;
  return out;
}

TEST(OverlapLadder, EqualsTheSumOverPairs) {
  TraceSet set = draw({.tasks = 3, .prompts = 3, .tokens = 12, .words = 30, .context = 0.4}, 2);
  // Rows known in one layer only, and one prompt of a task of its own.
  const ExpertId x = kNoExpert;
  set.push_back(worded(set[0].shared_info(), {0, 1, 2}, {0, 1, x, x, x, x, 2, 3, 4, 5, 6, 7}, "partly", "task0"));
  set.push_back(worded(set[0].shared_info(), {0, 1, 0}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1}, "alone", "task9"));
  const TokenTable table = token_table(set);
  const OverlapLadder ladder = overlap_ladder(table, {.permutations = 2});
  for (std::size_t l = 0; l < table.layers; ++l) {
    const LadderLayer slow = slow_layer(table, l), &fast = ladder.layers[l];
    EXPECT_EQ(fast.pairs, slow.pairs);
    for (std::size_t r = 0; r < 4; ++r) EXPECT_NEAR(*fast.overlap[r], *slow.overlap[r], 1e-14);
    EXPECT_NEAR(*fast.effect, *slow.effect, 1e-14);
    EXPECT_EQ(ladder.layer_effects[l]->observed, *fast.effect);
  }
  EXPECT_NE(ladder.layers[0].pairs, ladder.layers[1].pairs);
}

TEST(OverlapLadder, ThePOfTheEffectIsThatOfPermutedLabels) {
  const TraceSet plain = draw({.tasks = 2, .prompts = 4, .tokens = 10, .words = 12, .context = 0.4}, 2);
  for (const bool groups : {false, true}) {
    const TokenTable table = token_table(groups ? testing::grouped(plain, 2) : plain);
    const OverlapLadder found = overlap_ladder(table, {.permutations = 100});
    EXPECT_EQ(found.units, groups ? 4U : 8U);
    EXPECT_EQ(found.permutations, groups ? 6U : 70U);  // all of them
    const Labellings labellings(table.units(), {.permutations = 100});
    std::vector<std::uint32_t> label(found.units);
    std::vector<double> draws;
    for (std::size_t i = 0; i < labellings.size(); ++i) {
      labellings.fill(i, label);
      TokenTable relabelled = table;
      for (std::size_t p = 0; p < table.prompts(); ++p)
        relabelled.task[p] = static_cast<int>(label[static_cast<std::size_t>(table.units().of(p))]);
      double sum = 0.0;
      for (std::size_t l = 0; l < table.layers; ++l) sum += slow_layer(relabelled, l).effect.value_or(0.0) / 2.0;
      draws.push_back(sum);
    }
    EXPECT_NEAR(found.effect->null.mean, spread(draws).mean, 1e-13);
    EXPECT_NEAR(found.effect->null.high, spread(draws).high, 1e-13);
    EXPECT_DOUBLE_EQ(found.effect->p->value, labellings.p_value(found.effect->observed, draws).value);
  }
}

TEST(OverlapLadder, ContextAloneMakesAnEffect) {
  const auto with = overlap_ladder(token_table(draw({.context = 0.8}, 1)), {.permutations = 199});
  EXPECT_DOUBLE_EQ(with.effect->p->value, 1.0 / 200.0);
  EXPECT_GT(with.effect->observed, 0.05);
  int rejected = 0;
  for (std::uint64_t i = 0; i < 100; ++i)
    rejected += overlap_ladder(token_table(draw({}, 500 + i)), {.permutations = 39}).effect->p->value <= 0.05 ? 1 : 0;
  EXPECT_LE(rejected, 15);  // Binomial(100, .05): 15 or fewer with probability .9999
}

TEST(OverlapLadder, OneGroupPerTaskGivesNoP) {
  const TraceSet set = testing::grouped(draw({.tasks = 2, .prompts = 4, .context = 0.4}, 2), 4);
  EXPECT_FALSE(overlap_ladder(token_table(set)).effect);  // no pair of one task is left
  const TokenTable alone = token_table(set, {.groups = false});
  EXPECT_TRUE(overlap_ladder(alone).effect->p);
}

TEST(OverlapLadder, WhatIsUndefinedIsAbsent) {
  const auto info = shape(1, 4, 1);
  const OverlapLadder none = overlap_ladder(token_table(TraceSet()), {.permutations = 1});
  EXPECT_TRUE(none.layers.empty() && !none.effect && !none.chance && !none.overlap[0]);
  const OverlapLadder apart = overlap_ladder(
      token_table(TraceSet({worded(info, {1}, {0}, "p", "a"), worded(info, {2}, {1}, "q", "b")})), {.permutations = 1});
  EXPECT_TRUE(!apart.overlap[kSameIdSameTask] && !apart.effect && !apart.layer_effects[0]);
  EXPECT_DOUBLE_EQ(*apart.overlap[kOtherIdOtherTask], 0.0);
  EXPECT_DOUBLE_EQ(*apart.chance, 0.5);
  EXPECT_EQ(apart.token_ids, 0U);
}

TEST(OverlapLadder, DoesNotDependOnPromptOrderOrThreads) {
  const TraceSet set = draw({.context = 0.3}, 8);
  std::vector<RoutingTrace> reversed(set.begin(), set.end());
  std::ranges::reverse(reversed);
  const auto once = overlap_ladder(token_table(set), {.permutations = 20});
  EXPECT_EQ(once.effect->null.mean,
            overlap_ladder(token_table(TraceSet(reversed)), {.permutations = 20}).effect->null.mean);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto again = overlap_ladder(token_table(set), {.permutations = 20});
    EXPECT_EQ(again.effect->null.mean, once.effect->null.mean);
    EXPECT_EQ(again.layer_effects[1]->p->value, once.layer_effects[1]->p->value);
    EXPECT_EQ(again.overlap, once.overlap);
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace routesig
