#include "routesig/baselines/baselines.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "routesig/baselines/count_sampling.hpp"
#include "support/matrices.hpp"
#include "support/traces.hpp"

namespace routesig {
namespace {

constexpr std::size_t kLayers = 4, kExperts = 16, kTopK = 4;

// Prompts of two tasks in turn, `tokens` tokens each (or 8, 11, 14, ... where 0). A token prefers experts
// 0 ... 7, those of its task (8 ... 11 or 12 ... 15), and a few of its prompt's own.
SignatureSet<double> preferring(std::size_t prompts, std::size_t tokens, std::uint64_t task_preference,
                                std::uint64_t own_preference = 0) {
  SignatureSet<double> set{.layers = kLayers, .experts = kExperts};
  Random preferences(prompts), random(prompts, tokens);
  for (std::size_t p = 0; p < prompts; ++p) {
    const std::size_t t = tokens > 0 ? tokens : 8 + 3 * p;
    set.num_tokens.push_back(t);
    for (std::size_t l = 0; l < kLayers; ++l) {
      std::vector<std::uint64_t> totals(kExperts, 10);
      for (std::size_t e = 0; e < 8; ++e) totals[e] += 10;
      for (std::size_t e = 0; e < 4; ++e) totals[8 + 4 * (p % 2) + e] += task_preference;
      for (int i = 0; i < 4; ++i) totals[preferences.below(kExperts)] += own_preference;
      std::vector<std::uint64_t> counts(kExperts);
      SystematicRows(totals, 1, kTopK).add(random, std::vector<std::size_t>{t}, counts);
      set.counts.insert(set.counts.end(), counts.begin(), counts.end());
    }
  }
  set.values = normalized_layers<double>(std::span<const std::uint64_t>(set.counts), kExperts);
  return set;
}

std::vector<RoutingTrace> some_traces(int prompts) {
  std::vector<RoutingTrace> traces;
  traces.reserve(static_cast<std::size_t>(prompts));
  for (int i = 0; i < prompts; ++i)
    traces.push_back(
        testing::random_trace(testing::shape(kLayers, kExperts, kTopK), 10 + i, 5, static_cast<std::uint64_t>(i)));
  return traces;
}

TEST(PermutationBaseline, RepetitionsSpreadAsTheClosedFormSays) {
  const auto set = preferring(8, 0, 10);
  const auto base = permutation_baseline(set, testing::cyclic(8, 2), {.repetitions = 3000});
  const auto& form = *base.closed_form;
  const Spread within = spread(base.repetitions.within), across = spread(base.repetitions.across),
               difference = spread(base.repetitions.difference);
  EXPECT_EQ(within.draws, 3000U);
  EXPECT_NEAR(within.mean, *form.within, 4 * *form.within_sd / std::sqrt(3000.0));
  EXPECT_NEAR(across.mean, *form.across, 4 * *form.across_sd / std::sqrt(3000.0));
  EXPECT_NEAR(difference.mean, *form.difference, 4 * *form.difference_sd / std::sqrt(3000.0));
  EXPECT_NEAR(within.sd / *form.within_sd, 1.0, .06);
  EXPECT_NEAR(across.sd / *form.across_sd, 1.0, .06);
  EXPECT_NEAR(difference.sd / *form.difference_sd, 1.0, .06);
  EXPECT_FALSE(base.p_value);
}

TEST(PermutationBaseline, OnePermutationForAllPromptsChangesNothing) {
  auto set = preferring(8, 40, 60);
  const auto before = separation(similarity_matrix(set), testing::cyclic(8, 2));
  for (std::size_t l = 0; l < kLayers; ++l) {
    std::vector<std::size_t> order(kExperts);
    std::iota(order.begin(), order.end(), std::size_t{0});
    Random(l).shuffle(std::span(order));
    for (std::size_t p = 0; p < 8; ++p) {
      const auto row = std::span(set.values).subspan((p * kLayers + l) * kExperts, kExperts);
      const std::vector<double> old(row.begin(), row.end());
      for (std::size_t e = 0; e < kExperts; ++e) row[e] = old[order[e]];
    }
  }
  const auto after = permutation_baseline(set, testing::cyclic(8, 2), {.repetitions = 20});
  EXPECT_NEAR(*after.observed.within.mean, *before.within.mean, 1e-12);
  EXPECT_NEAR(*after.observed.cohens_d, *before.cohens_d, 1e-9);
  // Those of the baseline are each prompt's own: similarity falls to chance.
  EXPECT_LT(std::ranges::max(after.repetitions.within), *before.within.mean - .1);
}

TEST(LoadBalanceBaseline, RepetitionsFollowTheClosedForm) {
  const auto set = preferring(10, 0, 10);
  for (const RowDraws draws : {RowDraws::distinct, RowDraws::with_replacement}) {
    const auto base = load_balance_baseline({set, kTopK}, testing::cyclic(10, 2), {.repetitions = 400}, draws);
    EXPECT_NEAR(spread(base.repetitions.within).mean, *base.closed_form->within, .006);
    EXPECT_NEAR(spread(base.repetitions.across).mean, *base.closed_form->across, .006);
    EXPECT_FALSE(base.closed_form->within_sd);
    EXPECT_FALSE(base.p_value);
  }
}

TEST(LoadBalanceBaseline, DependsOnTokensAlone) {
  const auto one = preferring(6, 20, 10), other = preferring(6, 20, 90);
  const auto a = load_balance_baseline({one, kTopK}, testing::cyclic(6, 2), {.repetitions = 10});
  const auto b = load_balance_baseline({other, kTopK}, testing::cyclic(6, 2), {.repetitions = 10});
  EXPECT_EQ(a.repetitions.difference, b.repetitions.difference);
  EXPECT_NE(*a.observed.within.mean, *b.observed.within.mean);
}

TEST(LoadBalanceBaseline, RisesAboveWithinOnLongTexts) {
  // The same prompts' preferences, 10 tokens and 2,000: the ordering of the paper's figure 2 is a matter of length.
  const auto brief = preferring(10, 10, 120, 20), endless = preferring(10, 2000, 120, 20);
  const auto short_base = load_balance_baseline({brief, kTopK}, testing::cyclic(10, 2), {.repetitions = 50});
  const auto long_base = load_balance_baseline({endless, kTopK}, testing::cyclic(10, 2), {.repetitions = 50});
  EXPECT_GT(*short_base.observed.within.mean, std::ranges::max(short_base.repetitions.within));
  EXPECT_LT(*long_base.observed.within.mean, std::ranges::min(long_base.repetitions.within));
  const auto free = length_free({endless, kTopK}, testing::cyclic(10, 2));
  const double t = *break_even_tokens(free->within, free->ratio, sampling_ratio(kExperts, kTopK));
  EXPECT_GT(t, 10.0);
  EXPECT_LT(t, 2000.0);
}

TEST(MarginalBaseline, RepetitionsFollowTheClosedForm) {
  const auto set = preferring(10, 0, 10);
  const auto base = marginal_baseline({set, kTopK}, testing::cyclic(10, 2), {.repetitions = 400});
  EXPECT_NEAR(spread(base.repetitions.within).mean, *base.closed_form->within, .006);
  EXPECT_NEAR(spread(base.repetitions.across).mean, *base.closed_form->across, .006);
  const auto balanced = load_balance_baseline({set, kTopK}, testing::cyclic(10, 2), {.repetitions = 1});
  EXPECT_GT(*base.closed_form->within, *balanced.closed_form->within);  // popular experts make prompts alike
}

TEST(MarginalBaseline, ItsPValueIsSmallForTasksAndNotForPopularity) {
  const auto tasks = preferring(12, 40, 60), popularity = preferring(12, 40, 0);
  const auto small = marginal_baseline({tasks, kTopK}, testing::cyclic(12, 2), {.repetitions = 199});
  EXPECT_EQ(small.p_value->value, small.p_value->floor);
  EXPECT_EQ(small.p_value->floor, 1.0 / 200.0);
  EXPECT_GT(marginal_baseline({popularity, kTopK}, testing::cyclic(12, 2), {.repetitions = 199}).p_value->value, .02);
}

// Counts of `tokens` tokens per prompt, in one layer, alike in all prompts; experts differ in popularity, up to 4 to 1.
std::vector<std::uint64_t> long_counts(std::size_t prompts, std::uint64_t tokens) {
  std::vector<std::uint64_t> out;
  for (std::size_t p = 0; p < prompts; ++p) {
    for (std::uint64_t e = 0; e < kExperts; ++e) out.push_back(tokens * kTopK / 200 * (5 + e));
    out.back() += tokens * kTopK % 200;
  }
  return out;
}

// `ours` and `theirs` have one mean, and sds with a ratio from 1 to `most`, give or take four standard errors.
void expect_same_distribution(std::span<const double> ours, std::span<const double> theirs, double most) {
  const Spread a = spread({ours.begin(), ours.end()}), b = spread({theirs.begin(), theirs.end()});
  const auto n = static_cast<double>(ours.size()), m = static_cast<double>(theirs.size());
  EXPECT_NEAR(a.mean, b.mean, 4.0 * std::sqrt(a.sd * a.sd / n + b.sd * b.sd / m));
  const double error = std::sqrt(0.5 / n + 0.5 / m);  // of the logarithm of a ratio of two sds of normal numbers
  EXPECT_GT(std::log(a.sd / b.sd), -4.0 * error);
  EXPECT_LT(std::log(a.sd / b.sd), 4.0 * error + std::log(most));
}

// A baseline of texts too long to be drawn token by token, beside that of rows drawn one by one by `add`.
template <typename Make, typename Add>
void expect_same_baseline(const Make& make, Draws purpose, double most, const Add& add) {
  constexpr std::size_t kPrompts = 5;
  const auto counts = long_counts(kPrompts, kRowsOneByOne + 1);
  const CountView set(counts, kPrompts, 1, kExperts, kTopK);
  const std::vector<int> task{0, 0, 0, 1, 1};  // of different sizes, so that lengths of deviations matter to D
  const Baseline counted = make(set, task, BaselineOptions{.repetitions = 1500});
  const std::vector<double> values = detail::as_values(set);
  const Repetitions drawn =
      detail::repeat_rows(set, {values, kPrompts, 1, kExperts}, task, purpose, {.repetitions = 200, .seed = 1}, add);
  expect_same_distribution(counted.repetitions.within, drawn.within, most);
  expect_same_distribution(counted.repetitions.across, drawn.across, most);
  expect_same_distribution(counted.repetitions.difference, drawn.difference, most);
  EXPECT_NEAR(spread(counted.repetitions.within).mean, *counted.closed_form->within, 1e-5);
}

TEST(LoadBalanceBaseline, LongTextsAreAsIfDrawnTokenByToken) {
  for (const RowDraws draws : {RowDraws::distinct, RowDraws::with_replacement}) {
    const UniformRows rows(kExperts, kTopK, draws);
    expect_same_baseline(
        [&](const CountView& set, std::span<const int> task, const BaselineOptions& options) {
          return load_balance_baseline(set, task, options, draws);
        },
        Draws::load_balance, 1.0,
        [&](Random& random, std::span<const std::size_t> tokens, std::span<std::uint64_t> counts) {
          rows.add(random, tokens[0], counts);
        });
  }
}

TEST(MarginalBaseline, LongTextsAreAsIfDrawnTokenByToken) {
  const auto totals = long_counts(1, kRowsOneByOne + 1);
  const SystematicRows rows(totals, 1, kTopK);
  // Shared orders: squared lengths of deviations vary by an eighth more at most, their sd by a sixteenth.
  expect_same_baseline([](const CountView& set, std::span<const int> task,
                          const BaselineOptions& options) { return marginal_baseline(set, task, options); },
                       Draws::marginal, 1.0625,
                       [&](Random& random, std::span<const std::size_t> tokens, std::span<std::uint64_t> counts) {
                         rows.add(random, tokens, counts);
                       });
}

TEST(Baselines, TextsOfAnyLengthFinish) {
  for (const std::uint64_t tokens : {1'000'000'000ULL, 2'000'000'000'000'000ULL}) {
    const auto counts = long_counts(4, tokens);
    const CountView set(counts, 4, 1, kExperts, kTopK);
    for (const Baseline& base :
         {load_balance_baseline(set, testing::cyclic(4, 2), {.repetitions = 5}),
          load_balance_baseline(set, testing::cyclic(4, 2), {.repetitions = 5}, RowDraws::with_replacement),
          marginal_baseline(set, testing::cyclic(4, 2), {.repetitions = 5})})
      for (const double within : base.repetitions.within) EXPECT_NEAR(within, *base.closed_form->within, 1e-8);
  }
}

TEST(TokenPoolBaseline, ObservesTheTokenSetAndDealsIt) {
  const auto traces = some_traces(8);
  const auto base =
      token_pool_baseline(traces, testing::cyclic(8, 2), {.repetitions = 99}, {.tokens = TokenSet::generation});
  const auto set = signatures(std::span<const RoutingTrace>(traces), {.tokens = TokenSet::generation});
  EXPECT_EQ(*base.observed.within.mean, *separation(similarity_matrix(set), testing::cyclic(8, 2)).within.mean);
  EXPECT_EQ(base.p_value->floor, 1.0 / 100.0);
  EXPECT_FALSE(base.closed_form);
  EXPECT_GT(*base.repetitions.within_pair_sd, 0.0);
  // Tokens of random traces are exchangeable: what is observed lies among the repetitions.
  EXPECT_GT(*base.observed.within.mean, std::ranges::min(base.repetitions.within));
  EXPECT_LT(*base.observed.within.mean, std::ranges::max(base.repetitions.within));
}

TEST(Baselines, SameSeedSameBytesOnAnyNumberOfThreads) {
  const auto set = preferring(7, 0, 10);
  const auto traces = some_traces(7);
  const auto all = [&](std::uint64_t seed) {
    const BaselineOptions options{.repetitions = 12, .seed = seed};
    std::vector<double> out;
    for (const Baseline& base : {permutation_baseline(set, testing::cyclic(7, 2), options),
                                 load_balance_baseline({set, kTopK}, testing::cyclic(7, 2), options),
                                 marginal_baseline({set, kTopK}, testing::cyclic(7, 2), options),
                                 token_pool_baseline(traces, testing::cyclic(7, 2), options)})
      for (const auto& column : {base.repetitions.within, base.repetitions.across, base.repetitions.cohens_d})
        out.insert(out.end(), column.begin(), column.end());
    return out;
  };
  set_num_threads(1);
  const auto one = all(5);
  EXPECT_EQ(one.size(), 4U * 3U * 12U);
  for (const int threads : {2, 3}) {
    set_num_threads(threads);
    EXPECT_EQ(all(5), one);
  }
  EXPECT_NE(all(6), one);
  set_num_threads(0);
}

TEST(Baselines, FewerRepetitionsAreThoseOfMore) {
  const auto set = preferring(6, 12, 10);
  const auto few = load_balance_baseline({set, kTopK}, testing::cyclic(6, 2), {.repetitions = 3});
  auto many = load_balance_baseline({set, kTopK}, testing::cyclic(6, 2), {.repetitions = 9});
  many.repetitions.within.resize(3);
  EXPECT_EQ(few.repetitions.within, many.repetitions.within);
}

TEST(Baselines, WhatIsUndefinedIsAbsent) {
  const auto set = preferring(3, 12, 10);
  const auto one_task = marginal_baseline({set, kTopK}, std::vector<int>{0, 0, 0}, {.repetitions = 5});
  EXPECT_EQ(one_task.repetitions.within.size(), 5U);
  EXPECT_TRUE(one_task.repetitions.across.empty() && one_task.repetitions.difference.empty());
  EXPECT_TRUE(one_task.repetitions.cohens_d.empty() && !one_task.p_value && !one_task.closed_form->across);
  const auto singles = permutation_baseline(set, std::vector<int>{0, 1, 2}, {.repetitions = 5});
  EXPECT_TRUE(singles.repetitions.within.empty() && !singles.repetitions.within_pair_sd);
  EXPECT_EQ(singles.repetitions.across.size(), 5U);
  const auto nothing = token_pool_baseline({}, {}, {.repetitions = 5});
  EXPECT_TRUE(nothing.repetitions.within.empty() && !nothing.p_value);
  const auto no_draws = load_balance_baseline({set, kTopK}, std::vector<int>{0, 0, 1}, {.repetitions = 0});
  EXPECT_TRUE(no_draws.closed_form->difference && no_draws.repetitions.within.empty());
}

TEST(Baselines, RefuseWhatDoesNotFit) {
  auto set = preferring(4, 12, 10);
  EXPECT_THROW((void)load_balance_baseline({set, kTopK}, testing::cyclic(3, 2)), std::invalid_argument);
  EXPECT_THROW((void)load_balance_baseline({set, kExperts + 1}, testing::cyclic(4, 2)), std::invalid_argument);
  set.values[3] = std::nan("");
  EXPECT_THROW((void)permutation_baseline(set, testing::cyclic(4, 2)), std::invalid_argument);
}

TEST(Baselines, TellTheirProgressAndStopWhereItThrows) {
  set_num_threads(1);
  const auto set = preferring(4, 12, 10);
  std::vector<std::size_t> told;
  const auto base = load_balance_baseline(
      {set, kTopK}, testing::cyclic(4, 2),
      {.repetitions = 4, .progress = [&](std::size_t done, std::size_t total) { told.push_back(done * 10 + total); }});
  EXPECT_EQ(told, (std::vector<std::size_t>{14, 24, 34, 44}));
  const Progress stop = [](std::size_t, std::size_t) { throw std::runtime_error("stop"); };
  for (const int threads : {1, 3}) {
    set_num_threads(threads);  // so many repetitions that the calling thread has one to tell of
    EXPECT_THROW((void)permutation_baseline(set, testing::cyclic(4, 2), {.repetitions = 1'000'000, .progress = stop}),
                 std::runtime_error);
  }
  set_num_threads(0);
}

}  // namespace
}  // namespace routesig
