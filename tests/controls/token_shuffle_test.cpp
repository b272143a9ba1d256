#include "routesig/controls/token_shuffle.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "../support/words.hpp"
#include "routesig/controls/residual_similarity.hpp"
#include "routesig/similarity.hpp"

namespace routesig {
namespace {

using testing::draw;
using testing::shape;
using testing::worded;
using testing::World;

// One word, two prompts of each of two tasks, which route it to expert 0 and to expert 1.
TraceSet one_word() {
  const auto info = shape(1, 2, 1);
  TraceSet set;
  for (const int p : {0, 1, 2, 3})
    set.push_back(worded(info, {7}, {static_cast<ExpertId>(p / 2)}, std::to_string(p), p < 2 ? "a" : "b"));
  return set;
}

TEST(TokenShuffle, ByHand) {
  const auto result = token_shuffle(token_table(one_word()), {.shuffles = 4000, .seed = 1});
  ASSERT_TRUE(result.difference);
  EXPECT_DOUBLE_EQ(result.difference->observed, 1.0);
  // Of 6 arrangements 2 give D = 1 and 4 give 0 - 1/2: mean 0, standard error .011; P(D* >= 1) = 1/3, .0075.
  for (const double d : result.draws) EXPECT_TRUE(std::abs(d - 1.0) < 1e-12 || std::abs(d + 0.5) < 1e-12);
  EXPECT_NEAR(result.difference->null.mean, 0.0, 0.05);
  EXPECT_NEAR(result.difference->p.value, 1.0 / 3.0, 0.035);
  EXPECT_DOUBLE_EQ(result.difference->p.floor, 1.0 / 4001.0);
  EXPECT_DOUBLE_EQ(*result.difference->share, result.difference->null.mean);
}

TEST(TokenShuffle, ObservedDifferenceIsThatOfTheSimilarityMatrix) {
  TraceSet set = draw({.context = 0.5}, 3);
  set.push_back(worded(set[0].shared_info(), {1, 2}, std::vector<ExpertId>(8, kNoExpert), "empty", "task0"));
  const TokenTable table = token_table(set);
  std::vector<int> tasks;
  for (const RoutingTrace& trace : set)
    tasks.push_back(trace.sequence().id == "empty" ? -1 : trace.sequence().task.back() - '0');
  const auto signatures = routesig::signatures(set);
  const auto s = separation(similarity_matrix(signatures), tasks);
  const auto result = token_shuffle(table, {.shuffles = 1});
  EXPECT_NEAR(result.difference->observed, *s.within.mean - *s.across.mean, 1e-13);
  const auto layers = similarity_layers(signatures);
  for (std::size_t l = 0; l < 2; ++l) {
    const auto of_layer =
        separation(std::span(layers).subspan(l * tasks.size() * tasks.size(), tasks.size() * tasks.size()), tasks);
    EXPECT_NEAR(result.layers[l]->observed, *of_layer.within.mean - *of_layer.across.mean, 1e-13);
  }
}

TEST(TokenShuffle, PairsOfOneGroupDoNotCountAndLayersWithoutDataAreLeftOut) {
  TraceSet set = testing::grouped(draw({.context = 0.5}, 3), 2);
  std::vector<ExpertId> half;  // layer 1 is not known
  for (int t = 0; t < 20; ++t) half.insert(half.end(), {1, 5, kNoExpert, kNoExpert});
  std::vector<std::int32_t> words(20);
  for (std::size_t t = 0; t < 20; ++t) words[t] = static_cast<std::int32_t>(t % 12);
  set.push_back(worded(set[0].shared_info(), words, half, "half", "task0"));
  const auto signatures = routesig::signatures(set);
  std::vector<int> tasks;
  for (const RoutingTrace& trace : set) tasks.push_back(trace.sequence().task.back() - '0');
  const std::vector<int> group = group_numbers(set.traces());
  const auto result = token_shuffle(token_table(set), {.shuffles = 1});
  const auto layers = similarity_layers(signatures);
  double mean = 0.0;
  for (std::size_t l = 0; l < 2; ++l) {
    const auto of_layer = std::span(layers).subspan(l * tasks.size() * tasks.size(), tasks.size() * tasks.size());
    const double expected = *separation(of_layer, tasks, group).difference();
    EXPECT_NEAR(result.layers[l]->observed, expected, 1e-13);
    EXPECT_GT(std::abs(expected - *separation(of_layer, tasks).difference()), 1e-4);
    mean += expected / 2.0;
  }
  EXPECT_NEAR(result.difference->observed, mean, 1e-13);
}

TEST(ResidualSimilarity, IsSimilarityLessItsMeanOverShuffles) {
  TraceSet set = draw({.tasks = 2, .context = 0.5}, 3);
  set.push_back(worded(set[0].shared_info(), {1, 2}, {0, 1, kNoExpert, kNoExpert, 2, 3, kNoExpert, kNoExpert}, "z0",
                       "task1"));  // knows layer 0 alone
  const TokenTable table = token_table(set);
  const auto similarity = [&](const std::vector<std::uint32_t>& source) {
    const auto counts = table.counts(source);
    const std::vector<double> values(counts.begin(), counts.end());
    return similarity_matrix(SignatureView(values, table.prompts(), table.layers, table.experts));
  };
  std::vector<double> expected = similarity(table.unshuffled());
  for (std::uint64_t r = 0; r < 7; ++r) {
    const auto shuffled = similarity(table.shuffled(3, r));
    for (std::size_t i = 0; i < expected.size(); ++i) expected[i] -= shuffled[i] / 7.0;
  }
  const auto found = residual_similarity(table, {.shuffles = 7, .seed = 3});
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 1e-13);
}

TEST(TokenShuffle, EveryStratumKeepsItsRowsAndOtherTokensStay) {
  const TokenTable table = token_table(draw({.words = 60}, 5));
  const auto source = table.shuffled(2, 9);
  std::set<std::uint32_t> movable;
  bool moved = false;
  for (const auto& stratum : table.strata) {
    std::vector<std::uint32_t> received;
    for (const std::uint32_t t : stratum) {
      EXPECT_EQ(table.token_id[t], table.token_id[stratum[0]]);
      received.push_back(source[t]);
      movable.insert(t);
      moved = moved || source[t] != t;
    }
    EXPECT_TRUE(std::ranges::is_permutation(received, stratum));
  }
  EXPECT_TRUE(moved);
  EXPECT_EQ(movable.size(), table.movable);
  std::size_t fixed = 0;
  std::map<std::int32_t, std::set<std::uint32_t>> prompts_of;
  for (std::size_t t = 0; t < table.tokens(); ++t) prompts_of[table.token_id[t]].insert(table.prompt[t]);
  for (std::uint32_t t = 0; t < table.tokens(); ++t) {
    EXPECT_EQ(movable.contains(t), prompts_of[table.token_id[t]].size() > 1);
    if (movable.contains(t)) continue;
    EXPECT_EQ(source[t], t);
    ++fixed;
  }
  EXPECT_GT(fixed, 0U) << "the world must have words of one prompt";
}

TEST(TokenShuffle, TokenCountsOfPromptsAndTotalsOfLayersAreKept) {
  const TokenTable table = token_table(draw({}, 6));
  const auto before = table.counts(table.unshuffled()), after = table.counts(table.shuffled(0, 0));
  EXPECT_NE(before, after);
  for (std::size_t row = 0; row < table.prompts() * table.layers; ++row) {
    std::uint32_t x = 0, y = 0;
    for (std::size_t e = 0; e < table.experts; ++e) {
      x += before[row * table.experts + e];
      y += after[row * table.experts + e];
    }
    EXPECT_EQ(x, y);
  }
  for (std::size_t cell = 0; cell < table.layers * table.experts; ++cell) {
    std::uint32_t x = 0, y = 0;
    for (std::size_t p = 0; p < table.prompts(); ++p) {
      x += before[p * table.layers * table.experts + cell];
      y += after[p * table.layers * table.experts + cell];
    }
    EXPECT_EQ(x, y);
  }
}

TEST(TokenTable, StrataKeepTypesFirstPositionsAndKnownLayersApart) {
  const auto info = shape(2, 4, 1);
  const auto with_type = [&](const RoutingTrace& trace) {
    TraceColumns columns = trace.columns();
    columns.types.assign(columns.types.size(), TokenType::generation);
    return RoutingTrace(info, trace.sequence(), std::move(columns));
  };
  TraceSet set;
  set.push_back(worded(info, {7}, {0, 0}, "a", "x"));
  set.push_back(worded(info, {7}, {0, 1}, "b", "y"));             // moves with a
  set.push_back(worded(info, {7}, {0, 2}, "c", "x", 0));          // first position
  set.push_back(with_type(worded(info, {7}, {0, 3}, "d", "x")));  // generated
  set.push_back(worded(info, {7}, {0, kNoExpert}, "e", "x"));     // one layer known
  set.push_back(worded(info, {7}, {1, kNoExpert}, "f", "x"));     // moves with e
  const TokenTable table = token_table(set);
  ASSERT_EQ(table.strata.size(), 2U);
  EXPECT_EQ(table.movable, 4U);
  EXPECT_EQ(table.across_tasks, 2U);
  EXPECT_EQ(table.unknown_rows, 2U);
  std::vector<std::vector<std::size_t>> traces;
  for (const auto& stratum : table.strata) {
    traces.emplace_back();
    for (const std::uint32_t t : stratum) traces.back().push_back(table.trace[table.prompt[t]]);
  }
  std::ranges::sort(traces);
  EXPECT_EQ(traces, (std::vector<std::vector<std::size_t>>{{0, 1}, {4, 5}}));
}

TEST(TokenTable, LeavesOutWhatHasNoTaskOrNoTokensAndSaysSo) {
  const auto info = shape(1, 4, 1);
  TraceSet set;
  set.push_back(worded(info, {1, 2}, {0, 1}, "b", "y"));
  set.push_back(worded(info, {1, 2}, {0, 1}, "no-task", ""));
  set.push_back(worded(info, {1, 2}, {kNoExpert, kNoExpert}, "unknown", "x"));
  set.push_back(worded(info, {1, 2}, {3, kNoExpert}, "a", "x"));
  const TokenTable table = token_table(set);
  EXPECT_EQ(table.trace, (std::vector<std::size_t>{3, 0}));
  EXPECT_EQ(table.task, (std::vector<int>{0, 1}));
  EXPECT_EQ(table.unlabelled, (std::vector<std::size_t>{1}));
  EXPECT_EQ(table.empty, (std::vector<std::size_t>{2}));
  EXPECT_EQ(table.tokens(), 3U);
  EXPECT_EQ(token_table(set, {.tokens = TokenSet::generation}).empty.size(), 3U);
}

TEST(TokenTable, RefusesTracesWithoutIdsAndImpossibleRows) {
  const auto info = shape(1, 4, 2);
  TraceColumns columns = worded(info, {1}, {0, 1}, "t", "x").columns();
  columns.token_ids.clear();
  EXPECT_THROW((void)token_table(TraceSet({RoutingTrace(info, {.id = "t", .task = "x"}, columns)})),
               std::invalid_argument);
  const TraceSet twice({worded(info, {1, 2}, {0, 0, 0, 1}, "t", "x")});
  EXPECT_THROW((void)token_table(twice), std::invalid_argument);
  const TokenTable table = token_table(twice, {.drop_invalid = true});
  EXPECT_EQ(table.dropped_rows, 1U);
  EXPECT_EQ(table.tokens(), 1U);
}

TEST(TokenShuffle, IsAbsentWithoutBothKindsOfPairs) {
  const auto info = shape(1, 4, 1);
  const auto result = [&](const std::vector<std::string>& tasks) {
    TraceSet set;
    for (const std::string& task : tasks) set.push_back(worded(info, {1}, {0}, sentence("p", set.size()), task));
    return token_shuffle(token_table(set), {.shuffles = 3});
  };
  EXPECT_FALSE(result({"a", "a", "a"}).difference);  // one task
  EXPECT_FALSE(result({"a", "b", "c"}).difference);  // no task with two prompts
  EXPECT_FALSE(result({}).difference);
  const auto flat = result({"a", "a", "b", "b"});
  ASSERT_TRUE(flat.difference);
  EXPECT_FALSE(flat.difference->share) << "D = 0 has no share";
  EXPECT_DOUBLE_EQ(flat.difference->p.value, 1.0);
  EXPECT_THROW((void)token_shuffle(token_table(one_word()), {.shuffles = 0}), std::invalid_argument);
}

TEST(TokenShuffle, DoesNotDependOnPromptOrderOrThreads) {
  const TraceSet set = draw({.context = 0.3}, 8);
  std::vector<RoutingTrace> reversed(set.begin(), set.end());
  std::ranges::reverse(reversed);
  const auto once = token_shuffle(token_table(set), {.shuffles = 20, .seed = 4});
  const auto turned = token_shuffle(token_table(TraceSet(reversed)), {.shuffles = 20, .seed = 4});
  EXPECT_EQ(once.draws, turned.draws);
  EXPECT_EQ(once.difference->observed, turned.difference->observed);
  EXPECT_NE(once.draws, token_shuffle(token_table(set), {.shuffles = 20, .seed = 5}).draws);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto again = token_shuffle(token_table(set), {.shuffles = 20, .seed = 4});
    EXPECT_EQ(again.draws, once.draws);
    EXPECT_EQ(again.layer_draws, once.layer_draws);
  }
  set_num_threads(0);
}

struct Studies {
  int rejected = 0;
  double share = 0.0;  // mean under the shuffle over mean observed
};

Studies studies(const World& world, int count) {
  Studies out;
  double observed = 0.0, shuffled = 0.0;
  for (int i = 0; i < count; ++i) {
    const auto result = token_shuffle(token_table(draw(world, 1000 + static_cast<std::uint64_t>(i))), {.shuffles = 99});
    out.rejected += result.difference->p.value <= 0.05 ? 1 : 0;
    observed += result.difference->observed;
    shuffled += result.difference->null.mean;
  }
  out.share = shuffled / observed;
  return out;
}

TEST(TokenShuffle, WithoutContextItRejectsAtItsLevelAndTheShareIsNearOne) {
  const Studies s = studies({.context = 0.0}, 300);
  // Binomial(300, .05): 3 to 31 with probability .9998.
  EXPECT_GE(s.rejected, 3);
  EXPECT_LE(s.rejected, 31);
  EXPECT_NEAR(s.share, 1.0, 0.05);
}

TEST(TokenShuffle, WithContextItRejectsAndTheShareFalls) {
  const Studies s = studies({.context = 0.8}, 40);
  EXPECT_EQ(s.rejected, 40);
  EXPECT_LT(s.share, 0.6);
}

}  // namespace
}  // namespace routesig
