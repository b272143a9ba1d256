#include "routesig/information/information.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "routesig/information/evidence.hpp"
#include "support/traces.hpp"

namespace routesig {
namespace {

using testing::random_trace;
using testing::shape;
using testing::trace_of;

TEST(LogLossBound, ByHand) {
  // Two tasks, two prompts each; -log2 of .5, .5, 1 and .25 is 1, 1, 0, 2: mean 1, H(T) = 1.
  const std::vector<double> q{.5, .5, .5, .5, 0, 1, .75, .25};
  const std::vector<int> label{0, 1, 1, 1};
  const auto found = log_loss_bound(q, label, 2, 0.0);
  EXPECT_NEAR(found.loss_bits, 1.0, 1e-15);
  EXPECT_NEAR(found.entropy_bits, -.25 * std::log2(.25) - .75 * std::log2(.75), 1e-15);
  EXPECT_NEAR(found.unclipped_bits, found.entropy_bits - 1.0, 1e-15);
  EXPECT_EQ(found.bits, 0.0);
  EXPECT_NEAR(found.standard_error, std::sqrt(2.0 / 3 / 4), 1e-15);
}

TEST(LogLossBound, SureAndRightTellsEverythingButTheFloor) {
  const std::vector<double> q{1, 0, 0, 1};
  const std::vector<int> label{0, 1};
  EXPECT_NEAR(log_loss_bound(q, label, 2, 0.0).bits, 1.0, 1e-15);
  EXPECT_NEAR(log_loss_bound(q, label, 2, 0.01).bits, 1.0 + std::log2(.995), 1e-15);
  const std::vector<int> wrong{1, 0};
  EXPECT_NEAR(log_loss_bound(q, wrong, 2, 0.01).unclipped_bits, 1.0 + std::log2(.005), 1e-12);
  EXPECT_THROW((void)log_loss_bound(q, wrong, 2, 0.0), std::invalid_argument);
}

TEST(LogLossBound, RefusesWhatAreNoProbabilities) {
  const std::vector<int> label{0};
  EXPECT_THROW((void)log_loss_bound(std::vector<double>{.5, .4}, label, 2), std::invalid_argument);
  EXPECT_THROW((void)log_loss_bound(std::vector<double>{-.5, 1.5}, label, 2), std::invalid_argument);
  EXPECT_THROW((void)log_loss_bound(std::vector<double>{std::nan(""), 1}, label, 2), std::invalid_argument);
  EXPECT_THROW((void)log_loss_bound(std::vector<double>{.5, .5}, std::vector<int>{2}, 2), std::invalid_argument);
  EXPECT_THROW((void)log_loss_bound({}, {}, 2), std::invalid_argument);
  EXPECT_THROW((void)log_loss_bound(std::vector<double>{.5, .5}, label, 2, 1.0), std::invalid_argument);
}

TEST(Fano, SixErrorsOfEighty) {
  const auto found = fano_bound(6, 80, 4);
  EXPECT_NEAR(found.point_bits, 1.497, 5e-4);
  EXPECT_NEAR(found.valid_bits, 1.183, 5e-4);
}

TEST(Fano, KnowsItsEnds) {
  EXPECT_NEAR(upper_error(0, 80), 1.0 - std::pow(.05, 1.0 / 80), 1e-12);
  EXPECT_EQ(upper_error(5, 5), 1.0);
  EXPECT_NEAR(fano_bound(0, 80, 4).point_bits, 2.0, 1e-15);
  EXPECT_NEAR(fano_bound(80, 80, 4).point_bits, 0.0, 1e-12);  // always wrong is not taken for knowledge
  EXPECT_NEAR(fano_bound(60, 80, 4).point_bits, 0.0, 1e-12);  // chance
  EXPECT_NEAR(fano_bound(0, 10, 2, .95, .5).point_bits, .5, 1e-15);
  EXPECT_THROW((void)fano_bound(3, 2, 4), std::invalid_argument);
  EXPECT_THROW((void)fano_bound(0, 0, 4), std::invalid_argument);
  EXPECT_THROW((void)fano_bound(1, 2, 1), std::invalid_argument);
  for (const double entropy : {-.1, 2.1, std::nan("")})
    EXPECT_THROW((void)fano_bound(1, 2, 4, .95, entropy), std::invalid_argument);
}

TEST(LayerInformation, ByHand) {
  // Layer 0: tasks use one expert each, 1 bit. Layer 1: all alike, 0 bits.
  const std::vector<double> values{1, 0, .5, .5, 1, 0, .5, .5, 0, 1, .5, .5, 0, 1, .5, .5};
  const auto found = layer_information(values, 4, 2, 2, std::vector<int>{0, 0, 1, 1}, {}, {.permutations = 2'000});
  EXPECT_NEAR(*found[0].plug_in, 1.0, 1e-15);
  EXPECT_NEAR(*found[1].plug_in, 0.0, 1e-15);
  EXPECT_NEAR(*found[0].null_mean, 1.0 / 3, 1e-15);  // 2 of the 6 labellings separate, the others tell nothing
  EXPECT_EQ(found[0].draws.size(), 6U);
  EXPECT_DOUBLE_EQ(found[0].p->value, 2.0 / 6);
  EXPECT_DOUBLE_EQ(found[0].p->floor, 2.0 / 6);
  EXPECT_DOUBLE_EQ(found[1].p->value, 1.0);
  EXPECT_NEAR(*found[0].corrected, (1.0 - *found[0].null_mean) * 3 / 2, 1e-12);
  EXPECT_NEAR(*found[1].corrected, 0.0, 1e-15);
}

/// Prompts of two tasks: `tokens` draws from one distribution each.
std::vector<double> sampled(const std::vector<std::vector<double>>& of, std::size_t n, int tokens, std::uint64_t seed) {
  Random random(seed);
  const std::size_t experts = of[0].size();
  std::vector<double> values(n * experts);
  for (std::size_t i = 0; i < n; ++i)
    for (int t = 0; t < tokens; ++t) {
      const auto& p = of[i % of.size()];
      double u = random.uniform();
      std::size_t e = 0;
      while (e + 1 < experts && u >= p[e]) u -= p[e++];
      values[i * experts + e] += 1.0 / tokens;
    }
  return values;
}

TEST(LayerInformation, CorrectsWhatThePlugInOverstates) {
  const std::vector<double> p{.4, .2, .1, .1, .1, .05, .03, .02}, q{.1, .1, .3, .1, .2, .1, .05, .05};
  std::vector<double> mean(8);
  for (std::size_t e = 0; e < 8; ++e) mean[e] = .5 * (p[e] + q[e]);
  const double truth = entropy_bits(mean) - .5 * (entropy_bits(p) + entropy_bits(q));
  std::vector<int> task(20);
  for (std::size_t i = 0; i < 20; ++i) task[i] = static_cast<int>(i % 2);
  double plug_in = 0.0, corrected = 0.0, null_plug_in = 0.0, null_corrected = 0.0;
  const int studies = 60;
  for (std::uint64_t s = 0; s < studies; ++s) {
    const auto real =
        layer_information(sampled({p, q}, 20, 25, s), 20, 1, 8, task, {}, {.permutations = 200, .seed = s});
    const auto null =
        layer_information(sampled({p, p}, 20, 25, s), 20, 1, 8, task, {}, {.permutations = 200, .seed = s});
    plug_in += *real[0].plug_in / studies;
    corrected += *real[0].corrected / studies;
    null_plug_in += *null[0].plug_in / studies;
    null_corrected += *null[0].corrected / studies;
  }
  EXPECT_GT(plug_in, truth + .005);
  EXPECT_NEAR(corrected, truth, .004);
  EXPECT_GT(null_plug_in, .005);
  EXPECT_NEAR(null_corrected, 0.0, .002);
}

TEST(LayerInformation, JackknifeEqualsItsDefinition) {
  const auto values = sampled({{.5, .3, .2}, {.2, .3, .5}}, 9, 12, 1);
  const std::vector<int> task{0, 1, 0, 1, 0, 1, 0, 1, 0};
  const auto whole = layer_information(values, 9, 1, 3, task, {}, {.permutations = 10});
  std::vector<double> without;
  for (std::size_t i = 0; i < 9; ++i) {
    std::vector<int> left = task;
    left[i] = -1;
    without.push_back(*layer_information(values, 9, 1, 3, left, {}, {.permutations = 0})[0].plug_in);
  }
  const double mean = std::accumulate(without.begin(), without.end(), 0.0) / 9;
  double squares = 0.0;
  for (const double x : without) squares += (x - mean) * (x - mean);
  EXPECT_NEAR(*whole[0].standard_error, std::sqrt(squares * 8 / 9) * 8 / 7, 1e-12);
}

TEST(LayerInformation, WholeGroupsArePermutedAndLeftOut) {
  // Two groups a task, of three prompts and of one; the groups are far apart and the tasks are not.
  const std::vector<double> values{1, 0, 1, 0, 1, 0, 0, 1, .9, .1, .9, .1, .9, .1, .1, .9};
  const std::vector<int> task{0, 0, 0, 0, 1, 1, 1, 1}, group{5, 5, 5, -1, 2, 2, 2, -1};
  const auto found = layer_information(values, 8, 1, 2, task, group)[0];
  EXPECT_EQ(found.prompts, 8U);
  EXPECT_EQ(found.units, 4U);
  ASSERT_EQ(found.draws.size(), 6U);
  // Labellings by groups: both large ones together (2), each with the small one of its task (2) or of the other (2).
  const auto tells = [&](const std::vector<int>& labels) {
    return *layer_information(values, 8, 1, 2, labels, {}, {.permutations = 0})[0].plug_in;
  };
  const double large = tells({0, 0, 0, 1, 0, 0, 0, 1}), own = tells(task), other = tells({0, 0, 0, 1, 1, 1, 1, 0});
  EXPECT_NEAR(*found.null_mean, (large + own + other) / 3, 1e-12);
  EXPECT_DOUBLE_EQ(found.p->floor, 2.0 / 6);
  EXPECT_NEAR(*found.corrected, (*found.plug_in - *found.null_mean) * 3 / 2, 1e-12);
  std::vector<double> without;
  for (const std::size_t first : {0U, 3U, 4U, 7U}) {
    std::vector<int> left = task;
    for (std::size_t i = first; i < (first % 4 == 0 ? first + 3 : first + 1); ++i) left[i] = -1;
    without.push_back(tells(left));
  }
  const double mean = std::accumulate(without.begin(), without.end(), 0.0) / 4;
  double squares = 0.0;
  for (const double x : without) squares += (x - mean) * (x - mean);
  EXPECT_NEAR(*found.standard_error, std::sqrt(squares * 3 / 4) * 3 / 2, 1e-12);
  EXPECT_THROW((void)layer_information(values, 8, 1, 2, task, std::vector<int>(8, 1)), std::invalid_argument);
}

// The statistic as it reads: distances of task means over what the spread of the units within tasks makes of them.
double slow_statistic(const std::vector<double>& values, std::size_t experts, const std::vector<int>& task,
                      const std::vector<int>& unit) {
  const std::size_t n = task.size();
  std::vector<double> total(experts);
  for (std::size_t i = 0; i < values.size(); ++i) total[i % experts] += values[i] / static_cast<double>(n);
  const auto squared = [&](const std::vector<double>& a, const std::vector<double>& b) {
    double sum = 0.0;
    for (std::size_t e = 0; e < experts; ++e) sum += (a[e] - b[e]) * (a[e] - b[e]) / total[e];
    return sum;
  };
  const auto mean_of = [&](const auto& keep, double& count) {
    std::vector<double> mean(experts);
    count = 0.0;
    for (std::size_t i = 0; i < n; ++i) {
      if (!keep(i)) continue;
      count += 1.0;
      for (std::size_t e = 0; e < experts; ++e) mean[e] += values[i * experts + e];
    }
    for (double& x : mean) x /= count;
    return mean;
  };
  double between = 0.0, expected = 0.0;
  for (int c = 0; c <= std::ranges::max(task); ++c) {
    double size = 0.0, units = 0.0, spread = 0.0;
    const auto mean = mean_of([&](std::size_t i) { return task[i] == c; }, size);
    for (int u = 0; u <= std::ranges::max(unit); ++u) {
      double members = 0.0;
      const auto of_unit = mean_of([&](std::size_t i) { return task[i] == c && unit[i] == u; }, members);
      if (members == 0.0) continue;
      units += 1.0;
      spread += members * members / size / size * squared(of_unit, mean);
    }
    const double share = size / static_cast<double>(n);
    between += share * squared(mean, total);
    expected += share * (1.0 - share) * units / (units - 1.0) * spread;
  }
  return between / expected;
}

TEST(LayerInformation, TheStatisticIsDistanceOverItsExpectation) {
  const auto values = sampled({{.5, .3, .2}, {.2, .3, .5}}, 12, 15, 1);
  const std::vector<int> task{0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1}, unit{0, 0, 0, 1, 2, 3, 3, 4, 4, 4, 5, 6};
  const std::vector<int> alone{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11};
  const auto whole = layer_information(values, 12, 1, 3, task, unit, {.permutations = 10})[0];
  EXPECT_NEAR(*whole.statistic, slow_statistic(values, 3, task, unit), 1e-11);
  const auto single = layer_information(values, 12, 1, 3, task, {}, {.permutations = 10})[0];
  EXPECT_NEAR(*single.statistic, slow_statistic(values, 3, task, alone), 1e-11);
  const LabellingOptions all{.permutations = 100, .purpose = Draws::information};
  const auto exact = layer_information(values, 12, 1, 3, task, unit, all)[0];
  const Labellings labellings(Units(task, unit), all);
  ASSERT_EQ(exact.statistics.size(), 35U);
  std::vector<std::uint32_t> label(7);
  for (std::size_t i = 0; i < 35; ++i) {
    labellings.fill(i, label);
    std::vector<int> permuted;
    for (const int u : unit) permuted.push_back(static_cast<int>(label[static_cast<std::size_t>(u)]));
    EXPECT_NEAR(exact.statistics[i], slow_statistic(values, 3, permuted, unit), 1e-10);
  }
}

TEST(LayerInformation, RefusesWhatIsNotFinite) {
  const std::vector<double> values{1, 0, std::nan(""), 1, 0, 1};
  EXPECT_THROW((void)layer_information(values, 3, 1, 2, std::vector<int>{0, 0, 1}), std::invalid_argument);
}

TEST(LayerInformation, WhatIsUndefinedIsAbsent) {
  const std::vector<double> values{1, 0, 0, 0, 0, 1, 1, 0};  // 2 prompts... of layer 0: (1, 0), (0, 1)
  const auto two = layer_information(values, 2, 2, 2, std::vector<int>{0, 1});
  EXPECT_FALSE(two[0].plug_in || two[0].corrected || two[0].standard_error);  // no more prompts than tasks
  EXPECT_TRUE(two[0].draws.empty());
  EXPECT_EQ(two[1].prompts, 1U);  // the other has no routing in layer 1
  EXPECT_FALSE(layer_information(values, 4, 1, 2, std::vector<int>{0, 0, 0, 0})[0].plug_in);
  EXPECT_FALSE(layer_information(values, 4, 1, 2, std::vector<int>{-1, -1, -1, -1})[0].plug_in);
  const auto none = layer_information(values, 4, 1, 2, std::vector<int>{0, 0, 1, 1}, {}, {.permutations = 0});
  EXPECT_TRUE(none[0].plug_in && !none[0].corrected);
  EXPECT_THROW((void)layer_information(values, 4, 1, 2, std::vector<int>{0}), std::invalid_argument);
}

TEST(LayerInformation, SameBytesOnAnyNumberOfThreads) {
  const auto values = sampled({{.5, .3, .2}, {.2, .3, .5}}, 30, 12, 1);
  std::vector<int> task(30);
  for (std::size_t i = 0; i < 30; ++i) task[i] = static_cast<int>(i % 3);
  const auto run = [&] {
    return layer_information(values, 30, 1, 3, task, {}, {.permutations = 100, .seed = 5})[0].draws;
  };
  set_num_threads(1);
  const auto one = run();
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(run(), one);
  }
  set_num_threads(0);
}

TEST(Evidence, PrefixesAreSignaturesOfTheFirstTokens) {
  const std::vector<RoutingTrace> traces{trace_of(shape(1, 3, 1), {0, 1, 1, 2}, 4), trace_of(shape(1, 3, 1), {2}, 1)};
  EXPECT_EQ(prefix_signatures(traces, 1), (std::vector<double>{1, 0, 0, 0, 0, 1}));
  EXPECT_EQ(prefix_signatures(traces, 2), (std::vector<double>{.5, .5, 0, 0, 0, 1}));
  EXPECT_EQ(prefix_signatures(traces, 0), std::vector<double>(6));
  const std::vector<RoutingTrace> long_ones{random_trace(shape(2, 8, 2), 9, 4, 1),
                                            random_trace(shape(2, 8, 2), 9, 4, 2)};
  EXPECT_EQ(prefix_signatures(long_ones, 100), signatures(std::span<const RoutingTrace>(long_ones)).values);
  const SignatureOptions generation{.tokens = TokenSet::generation};
  EXPECT_EQ(prefix_signatures(long_ones, 100, generation),
            signatures(std::span<const RoutingTrace>(long_ones), generation).values);
}

}  // namespace
}  // namespace routesig
