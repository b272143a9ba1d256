#include "routesig/statistics/signature_separation.hpp"

#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "routesig/random.hpp"

namespace routesig {
namespace {

// Random values [prompts, layers, experts]; where `gaps`, every 7th prompt has an empty layer.
std::vector<double> random_values(std::size_t prompts, std::size_t layers, std::size_t experts, bool gaps = false) {
  Random random(1);
  std::vector<double> out(prompts * layers * experts);
  for (double& x : out) x = random.uniform();
  for (std::size_t p = 0; gaps && p < prompts; p += 7)
    std::fill_n(out.begin() + static_cast<std::ptrdiff_t>(p * layers * experts), experts, 0.0);
  return out;
}

TEST(SignatureSeparation, IsThatOfTheMatrixForFewPromptsAndForMany) {
  for (const auto& [prompts, gaps, grouped] : {std::tuple(5U, false, false),
                                               {40U, false, true},
                                               {300U, false, false},
                                               {300U, false, true},
                                               {300U, true, true}}) {  // 18 cells
    const auto values = random_values(prompts, 3, 6, gaps);
    const SignatureView set(values, prompts, 3, 6);
    std::vector<int> task(prompts), group(grouped ? prompts : 0);
    for (std::size_t i = 0; i < prompts; ++i) task[i] = static_cast<int>(i % 4) - 1;  // some without a task
    for (std::size_t i = 0; i < group.size(); ++i) group[i] = i % 5 == 0 ? -1 : static_cast<int>(i / 12 * 4 + i % 4);
    const Separation found = signature_separation(set, task, group),
                     slow = separation(similarity_matrix(set), task, group);
    EXPECT_EQ(found.within.pairs, slow.within.pairs);
    EXPECT_EQ(found.across.pairs, slow.across.pairs);
    if (!slow.cohens_d) continue;
    EXPECT_NEAR(*found.within.mean, *slow.within.mean, 1e-13);
    EXPECT_NEAR(*found.across.mean, *slow.across.mean, 1e-13);
    EXPECT_NEAR(*found.within.sd, *slow.within.sd, 1e-11);
    EXPECT_NEAR(*found.across.sd, *slow.across.sd, 1e-11);
    EXPECT_NEAR(*found.cohens_d, *slow.cohens_d, 1e-10);
  }
}

TEST(SignatureSeparation, EqualPromptsHaveNoSpread) {
  const std::vector<double> values(50 * 4, 0.3);
  std::vector<int> task(50);
  for (std::size_t i = 0; i < 50; ++i) task[i] = static_cast<int>(i % 2);
  const Separation found = signature_separation({values, 50, 2, 2}, task);
  EXPECT_NEAR(*found.within.mean, 1.0, 1e-13);
  EXPECT_EQ(*found.within.sd, 0.0);
  EXPECT_FALSE(found.cohens_d);
}

TEST(SignatureSeparation, WhatIsUndefinedIsAbsent) {
  const auto values = random_values(20, 1, 3);
  const Separation one_task = signature_separation({values, 20, 1, 3}, std::vector<int>(20, 0));
  EXPECT_TRUE(one_task.within.sd && !one_task.across.mean && !one_task.cohens_d);
  std::vector<int> own(20);
  for (std::size_t i = 0; i < 20; ++i) own[i] = static_cast<int>(i);
  const Separation singles = signature_separation({values, 20, 1, 3}, own);
  EXPECT_TRUE(!singles.within.mean && singles.across.sd && !singles.cohens_d);
}

}  // namespace
}  // namespace routesig
