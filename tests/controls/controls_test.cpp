#include "routesig/controls/controls.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../support/words.hpp"
#include "routesig/similarity.hpp"

namespace routesig {
namespace {

using testing::draw;
using testing::shape;
using testing::worded;

// Two prompts of each of two tasks, one token each; `experts` [4] of a layer of 3 experts, top-1.
TraceSet four(const std::vector<ExpertId>& experts) {
  const auto info = shape(1, 3, 1);
  TraceSet set;
  for (std::size_t p = 0; p < 4; ++p)
    set.push_back(worded(info, {static_cast<std::int32_t>(p)}, {experts[p]}, std::to_string(p), p < 2 ? "a" : "b"));
  return set;
}

TEST(Controls, ByHand) {
  // Within pairs 2, across pairs 4. Real 1 - 0; controls 0 - 1/2 (0 1 0 1) and 1/2 - 0 (0 0 1 2).
  const std::vector<TraceSet> controls{four({0, 1, 0, 1}), four({0, 0, 1, 2})};
  const ControlComparison c = compare_with_controls(four({0, 0, 1, 1}), controls);
  ASSERT_TRUE(c.difference);
  EXPECT_DOUBLE_EQ(c.difference->real, 1.0);
  EXPECT_EQ(c.difference->controls, (std::vector<double>{-0.5, 0.5}));
  EXPECT_DOUBLE_EQ(c.difference->mean, 0.0);
  EXPECT_DOUBLE_EQ(c.difference->low, -0.5);
  EXPECT_DOUBLE_EQ(c.difference->high, 0.5);
  EXPECT_DOUBLE_EQ(c.difference->gain, 1.0);
  EXPECT_DOUBLE_EQ(c.difference->p.value, 1.0 / 3.0);
  EXPECT_DOUBLE_EQ(c.difference->p.floor, 1.0 / 3.0);
  ASSERT_EQ(c.layers.size(), 1U);
  EXPECT_DOUBLE_EQ(c.layers[0]->gain, 1.0);
  EXPECT_FALSE(c.cohens_d) << "the real model's pairs have no spread";
}

TEST(Controls, AModelAgainstItselfGainsNothing) {
  const TraceSet real = draw({.context = 0.5}, 1);
  const ControlComparison c = compare_with_controls(real, std::vector<TraceSet>{real, real});
  EXPECT_NEAR(c.difference->gain, 0.0, 1e-15);
  EXPECT_DOUBLE_EQ(c.difference->p.value, 1.0);
  EXPECT_DOUBLE_EQ(c.cohens_d->real, *separation(similarity_matrix(signatures(real)),
                                                 [&] {
                                                   std::vector<int> tasks;
                                                   for (const auto& trace : real)
                                                     tasks.push_back(trace.sequence().task.back());
                                                   return tasks;
                                                 }())
                                          .cohens_d);
}

TEST(Controls, LeavesOutPromptsThatSomeModelDoesNotHave) {
  const auto info = shape(1, 3, 1);
  const auto with = [&](TraceSet set, ExpertId expert) {
    set.push_back(worded(info, {9}, {expert}, "odd", "a"));
    set.push_back(worded(info, {9}, {0}, "no-task", ""));
    return set;
  };
  const ControlComparison c =
      compare_with_controls(with(four({0, 0, 1, 1}), 2), std::vector<TraceSet>{with(four({0, 0, 1, 1}), kNoExpert)});
  EXPECT_EQ(c.empty, (std::vector<std::size_t>{4}));
  EXPECT_EQ(c.unlabelled, (std::vector<std::size_t>{5}));
  EXPECT_DOUBLE_EQ(c.difference->real, 1.0);
}

TEST(Controls, RefusesOtherPromptsAndOtherTokens) {
  const TraceSet real = four({0, 0, 1, 1});
  const auto info = real[0].shared_info();
  const auto refuses = [&](const std::vector<TraceSet>& controls, const std::string& what) {
    try {
      (void)compare_with_controls(real, controls);
      ADD_FAILURE() << what;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
  };
  refuses({}, "expected one control or more, got none");
  refuses({TraceSet({real[0], real[1]})}, "expected the 4 prompts of the real model, got 2 in control 0");
  refuses({real, TraceSet({real[1], real[0], real[2], real[3]})}, "expected prompt \"0\" of task \"a\", got \"1\"");
  refuses({TraceSet({worded(info, {8}, {0}, "0", "a"), real[1], real[2], real[3]})}, "got others for prompt \"0\"");
}

TEST(Controls, WhatIsUndefinedIsAbsent) {
  const auto info = shape(1, 3, 1);
  const TraceSet one_task({worded(info, {1}, {0}, "p", "a"), worded(info, {1}, {0}, "q", "a")});
  const ControlComparison c = compare_with_controls(one_task, std::vector<TraceSet>{one_task});
  EXPECT_TRUE(!c.difference && !c.cohens_d && !c.layers.at(0));
  EXPECT_FALSE(compare_with_controls(TraceSet(), std::vector<TraceSet>{TraceSet()}).difference);
}

}  // namespace
}  // namespace routesig
