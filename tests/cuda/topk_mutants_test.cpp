// The emulator and the checks of topk_problem.hpp find the mistakes that mutants.cmake makes, and none in the kernel.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <ostream>
#include <string>

#include "support/simt.hpp"
#include "topk_problem.hpp"
#include "topk_tile.hpp"

#pragma GCC diagnostic ignored "-Wsign-conversion"   // GCC deduces the bounds of the kernel's arrays as std::size_t
#pragma GCC diagnostic ignored "-Wunused-parameter"  // what a mutant no longer uses
#include "mutants.hpp"

namespace routesig::cuda {
namespace {

struct Mutant {
  const char* name;
  const char* found;                                // part of what is said of it
  void (*softmax)(const TopkCall&, std::uint64_t);  // 60 experts, k = 8, bf16
  void (*sigmoid)(const TopkCall&, std::uint64_t);  // the same, fp32

  friend std::ostream& operator<<(std::ostream& out, const Mutant& mutant) { return out << mutant.name; }
};

template <typename Body>
void emulate(const TopkCall& call, std::uint64_t seed, const Body& body) {
  simt::run({.blocks = 2, .threads = 64, .shared_words = call.experts, .seed = seed}, body);
}

#define MUTANT(mutant, found)                                                                                       \
  Mutant {                                                                                                          \
    #mutant, found,                                                                                                 \
        [](const TopkCall& call, std::uint64_t seed) {                                                              \
          emulate(call, seed,                                                                                       \
                  [&] { mutant::topk_rows<TopkTile<std::uint32_t, false, 8, 8, 8>>(call, simt::SharedMemory{}); }); \
        },                                                                                                          \
        [](const TopkCall& call, std::uint64_t seed) {                                                              \
          emulate(call, seed,                                                                                       \
                  [&] { mutant::topk_rows<TopkTile<std::uint64_t, true, 8, 8, 8>>(call, simt::SharedMemory{}); });  \
        }                                                                                                           \
  }

const Mutant kMutants[] = {
    MUTANT(unchanged, ""),
    MUTANT(no_barrier_after_zeroing, "shared word"),
    MUTANT(no_barrier_before_flush, "without a barrier between"),
    MUTANT(wrong_width, "expected expert"),
    MUTANT(ties_to_the_higher_index, "expected expert"),
    MUTANT(nan_above_all, "expected expert"),
    MUTANT(nan_unnoticed, "expected weight nan"),
    MUTANT(early_exit, "is in __ballot_sync"),
    MUTANT(dropped_tail_column, "rank 0: expected"),
    MUTANT(double_count, "expected a count"),
    MUTANT(spare_lanes_store, "expected a count"),
    MUTANT(padding_is_chosen, "of 60 at"),
    MUTANT(half_a_sum, "expected weight"),
    MUTANT(zero_by_zero, "expected weight 0.125"),
    MUTANT(second_vote_skipped, "of its mask in"),
    MUTANT(group_of_one, "expected expert"),
};

// The first thing that is wrong with a mutant, under a few seeds; "" where nothing is.
std::string fault(const Mutant& mutant) {
  const RouterRule grouped{.scoring = Scoring::sigmoid, .renormalize = true, .groups = 6, .kept_groups = 3};
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    const TopkProblem softmax({.type = LogitType::bf16, .experts = 60, .seed = seed});
    const TopkProblem sigmoid({.rows = 67, .experts = 60, .rule = grouped, .biased = true, .seed = seed});
    try {
      if (auto found = softmax.difference([&](const TopkCall& call) { mutant.softmax(call, seed); }); !found.empty())
        return found;
      if (auto found = sigmoid.difference([&](const TopkCall& call) { mutant.sigmoid(call, seed); }); !found.empty())
        return found;
    } catch (const simt::Fault& found) {
      return found.what();
    }
  }
  return "";
}

struct TopkMutant : ::testing::TestWithParam<Mutant> {};

TEST_P(TopkMutant, IsFound) {
  const std::string found = fault(GetParam());
  if (std::string(GetParam().name) == "unchanged") {
    EXPECT_EQ(found, "");
    return;
  }
  EXPECT_NE(found, "");
  EXPECT_THAT(found, ::testing::HasSubstr(GetParam().found));
}

INSTANTIATE_TEST_SUITE_P(Mistakes, TopkMutant, ::testing::ValuesIn(kMutants),
                         [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace routesig::cuda
