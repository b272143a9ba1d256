#include "routesig/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

namespace routesig {
namespace {

using Block = std::array<std::uint32_t, 4>;

TEST(Random, PhiloxGivesThePublishedAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t all = 0xffffffff;
  EXPECT_EQ(philox({all, all, all, all}, {all, all}), (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, SameSeedAndStreamGiveTheSameNumbers) {
  Random a(5, 7), b(5, 7), other_stream(5, 8), other_seed(6, 7);
  std::vector<std::uint32_t> x(100), y(100), u(100), v(100);
  std::ranges::generate(x, std::ref(a));
  std::ranges::generate(y, std::ref(b));
  std::ranges::generate(u, std::ref(other_stream));
  std::ranges::generate(v, std::ref(other_seed));
  EXPECT_EQ(x, y);
  EXPECT_NE(x, u);
  EXPECT_NE(x, v);
}

TEST(Random, SeedsAndStreamsUseAll64Bits) {
  std::set<std::uint32_t> firsts;
  for (unsigned bit = 0; bit < 64; ++bit) {
    firsts.insert(Random(std::uint64_t{1} << bit, 0)());
    firsts.insert(Random(0, std::uint64_t{1} << bit)());
  }
  EXPECT_EQ(firsts.size(), 128U);
}

TEST(Random, UniformHasTheRightMomentsAndRange) {
  Random random(1);
  double sum = 0.0, squares = 0.0;
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / kDraws, 0.5, 0.003);
  EXPECT_NEAR(squares / kDraws, 1.0 / 3.0, 0.003);
}

TEST(Random, BelowIsUniformWithoutBias) {
  Random random(2);
  std::vector<int> seen(7);
  for (int i = 0; i < 70'000; ++i) ++seen.at(random.below(7));
  for (const int n : seen) EXPECT_NEAR(n, 10'000, 500);
  // n just above 2^31: a remainder would favour small numbers two to one.
  const std::uint32_t n = (1U << 31U) + 1U;
  int low = 0;
  for (int i = 0; i < 20'000; ++i) low += random.below(n) < n / 2 ? 1 : 0;
  EXPECT_NEAR(low, 10'000, 400);
  EXPECT_EQ(random.below(0), 0U);
  EXPECT_EQ(random.below(1), 0U);
}

TEST(Random, NormalHasTheRightMoments) {
  Random random(3);
  double sum = 0.0, squares = 0.0;
  constexpr int kDraws = 200'000;
  for (int i = 0; i < kDraws; ++i) {
    const double z = random.normal();
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 0.012);
  EXPECT_NEAR(squares / kDraws, 1.0, 0.015);
}

TEST(Random, ShuffleIsAPermutationAndEveryOrderIsEquallyLikely) {
  std::vector<int> seen(6);
  Random random(4);
  for (int i = 0; i < 60'000; ++i) {
    std::array<int, 3> items{0, 1, 2};
    random.shuffle(std::span<int>(items));
    ASSERT_EQ(items[0] + items[1] + items[2], 3);
    ++seen.at(static_cast<std::size_t>(items[0] * 2 + (items[1] > items[2] ? 1 : 0)));
  }
  for (const int n : seen) EXPECT_NEAR(n, 10'000, 500);
}

TEST(Random, StreamsOfDifferentProceduresDiffer) {
  EXPECT_EQ(stream(Draws::plain, 7), 7U);
  EXPECT_NE(stream(Draws::bootstrap, 7), stream(Draws::label_permutation, 7));
  EXPECT_NE(stream(Draws::bootstrap, 7), stream(Draws::bootstrap, 8));
}

}  // namespace
}  // namespace routesig
