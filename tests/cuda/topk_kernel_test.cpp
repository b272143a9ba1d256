#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "support/simt.hpp"
#include "topk_problem.hpp"

#pragma GCC diagnostic ignored "-Wsign-conversion"  // GCC deduces the bounds of the kernel's arrays as std::size_t
#include "topk.cuh"

namespace routesig::cuda {
namespace {

// The launcher of topk.cu with the emulator in place of the GPU.
struct Emulated {
  int blocks = 2;
  int threads = 128;
  std::uint64_t seed = 0;

  void operator()(const TopkCall& call) const {
    check(call);
    if (call.rows == 0) return;
    const int words = call.counts != nullptr ? call.experts : 0;
    visit_tile(call, [&]<typename Tile>(Tile) {
      simt::run({.blocks = blocks, .threads = threads, .shared_words = words, .seed = seed},
                [&] { topk_rows<Tile>(call, simt::SharedMemory{}); });
    });
  }
};

constexpr std::array kExperts{1, 2, 8, 16, 40, 60, 64, 72, 128, 160, 256, 384, 512, 1024};
constexpr std::array kTypes{LogitType::fp32, LogitType::fp16, LogitType::bf16};

// Every rule that fits; groups where they are whole and have two experts at least.
std::vector<Problem> with_every_rule(Problem problem) {
  std::vector<Problem> out;
  const auto add = [&](const RouterRule& rule, bool biased) {
    problem.rule = rule;
    problem.biased = biased;
    out.push_back(problem);
  };
  add({}, false);
  add({.renormalize = true}, false);
  add({.scoring = Scoring::softmax_of_chosen, .scale = 0.5F}, false);
  add({.scoring = Scoring::sigmoid, .renormalize = problem.top_k % 2 == 0}, problem.top_k % 3 != 0);
  for (const int groups : {2, 4, 8}) {
    if (problem.experts % groups != 0 || problem.experts / groups < 2) continue;
    const int size = problem.experts / groups, kept = std::max((problem.top_k + size - 1) / size, groups / 2);
    add({.scoring = Scoring::sigmoid, .renormalize = true, .scale = 2.5F, .groups = groups, .kept_groups = kept}, true);
  }
  return out;
}

bool everything() { return std::getenv("ROUTESIG_ALL") != nullptr; }

// The whole product takes minutes; without ROUTESIG_ALL every edge of a tile remains.
std::vector<int> ranks(int experts) {
  std::set<int> out{1, 2, 8, 9, 16, 17, 32, experts};
  for (int k = 1; everything() && k <= kMaxTopk; ++k) out.insert(k);
  std::erase_if(out, [&](int k) { return k > std::min(experts, kMaxTopk); });
  return {out.begin(), out.end()};
}

struct TopkKernel : ::testing::TestWithParam<int> {};  // experts

TEST_P(TopkKernel, AgreesWithThePlainTwin) {
  for (const LogitType type : kTypes)
    for (const int k : ranks(GetParam()))
      for (Problem problem : with_every_rule({.type = type, .experts = GetParam(), .top_k = k}))
        for (const int rows : {0, 1, 67}) {
          problem.rows = rows;
          problem.id_type = k % 2 == 0 ? IdType::int32 : IdType::int64;
          problem.seed = static_cast<std::uint64_t>(k);
          ASSERT_EQ(TopkProblem(problem).difference(Emulated{.seed = problem.seed}), "") << problem.text();
        }
}

// Independent of the twin: a stable sort of (NaN last, larger first), and ids that are distinct and in range.
TEST_P(TopkKernel, ChoosesWhatAStableSortChooses) {
  for (const LogitType type : kTypes) {
    const TopkProblem problem({.type = type, .experts = GetParam(), .top_k = std::min(GetParam(), 8), .seed = 3});
    const Outputs out = problem.run(Emulated{}, 0, 67);
    for (int r = 0; r < 67; ++r) {
      const std::span<const float> row = problem.row(r);
      std::vector<std::int64_t> order(row.size());
      std::iota(order.begin(), order.end(), 0);
      std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) {
        const float x = row[static_cast<std::size_t>(a)], y = row[static_cast<std::size_t>(b)];
        return std::isnan(y) ? !std::isnan(x) : x > y;
      });
      for (std::size_t i = 0; i < std::min<std::size_t>(order.size(), 8); ++i)
        ASSERT_EQ(out.ids[static_cast<std::size_t>(r) * std::min<std::size_t>(order.size(), 8) + i], order[i]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Experts, TopkKernel, ::testing::ValuesIn(kExperts), ::testing::PrintToStringParamName());

TEST(TopkKernel, ReadsRowsThatLieAnywhere) {
  for (const LogitType type : kTypes)
    for (const int experts : {60, 64, 72, 384})
      for (const int gap : {0, 1, 8})
        for (const int offset : {0, 1, 4}) {
          const Problem problem{.type = type, .rows = 19, .experts = experts, .gap = gap, .offset = offset};
          ASSERT_EQ(TopkProblem(problem).difference(Emulated{}), "") << problem.text();
        }
}

TEST(TopkKernel, ManyRowsOnManyBlocks) {
  for (const int rows : {300, 1000})
    for (const int blocks : {1, 3, 40}) {
      const Problem problem{.type = LogitType::bf16, .rows = rows};
      ASSERT_EQ(TopkProblem(problem).difference(Emulated{.blocks = blocks}), "") << rows << " rows, " << blocks;
    }
}

TEST(TopkKernel, WritesNothingThatIsNotAskedFor) {
  const Problem problem{.type = LogitType::bf16, .record = false};
  const TopkProblem quiet(problem);
  EXPECT_EQ(quiet.difference(Emulated{}), "");
  const Outputs out = quiet.run(Emulated{}, 0, problem.rows);
  EXPECT_EQ(out.counts, std::vector<unsigned long long>(64, 1000));
  EXPECT_EQ(std::set<int>(out.trace.begin(), out.trace.end()), std::set<int>{0xA5});
  EXPECT_EQ(out.nonfinite_rows, 5U);
}

// The same row gives the same bits alone, among others, in any block, at any place, and in any order of the lanes.
TEST(TopkKernel, ARowHasTheSameBitsWhereverItIs) {
  const auto same_bits = [](const Outputs& all, const Outputs& one, std::size_t row, std::size_t k) {
    return std::equal(one.ids.begin(), one.ids.end(), all.ids.begin() + static_cast<std::ptrdiff_t>(row * k)) &&
           std::memcmp(one.weights.data(), &all.weights[row * k], k * sizeof(float)) == 0;
  };
  for (const LogitType type : kTypes)
    for (const int experts : {40, 128, 256, 512, 1024})
      for (const Problem& problem : with_every_rule({.type = type, .experts = experts, .gap = 1})) {
        const TopkProblem rows(problem);
        const Outputs all = rows.run(Emulated{.blocks = 3, .threads = 64}, 0, 67);
        for (const int r : {0, 1, 13, 34, 66}) {
          const Outputs one = rows.run(Emulated{.blocks = 1, .seed = 7}, r, 1);
          ASSERT_TRUE(same_bits(all, one, static_cast<std::size_t>(r), 8)) << problem.text() << ", row " << r;
        }
      }
}

TEST(TopkKernel, RefusesByNameWhatItCannotDo) {
  std::vector<float> memory(4096);
  TopkCall good{.logits = memory.data(),
                .rows = 2,
                .row_stride = 64,
                .experts = 64,
                .top_k = 8,
                .weights = memory.data(),
                .ids = memory.data()};
  check(good);
  const auto refused = [&](auto change, const std::string& part) {
    TopkCall call = good;
    change(call);
    try {
      check(call);
      ADD_FAILURE() << "not refused: " << part;
    } catch (const std::invalid_argument& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refused([](TopkCall& c) { c.experts = 0; }, "expected 1 to 1024 experts, got 0");
  refused([](TopkCall& c) { c.experts = 1025; }, "expected 1 to 1024 experts, got 1025");
  refused([](TopkCall& c) { c.top_k = 33; }, "top_k of at most 32, got 33");
  refused([](TopkCall& c) { c.top_k = 0; }, "top_k from 1 to 64");
  refused([](TopkCall& c) { c.rows = -1; }, "at least 0 rows");
  refused([](TopkCall& c) { c.row_stride = 63; }, "row stride of at least 64, got 63");
  refused([](TopkCall& c) { c.rule.groups = 2; }, "groups with sigmoid scoring only");
  refused([](TopkCall& c) { c.bias = c.weights; }, "a bias with sigmoid scoring only");
  refused([](TopkCall& c) { c.logits = nullptr; }, "expected logits");
  refused([](TopkCall& c) { c.weights = nullptr; }, "a place for weights");
  refused([](TopkCall& c) { c.ids = nullptr; }, "a place for ids");
  refused([](TopkCall& c) { c.trace = c.ids; }, "trace stride of at least 8");
  refused(
      [](TopkCall& c) {
        c.experts = 512;
        c.row_stride = 512;
        c.trace = c.ids;
        c.trace_type = TraceType::u8;
      },
      "at most 256 experts for a trace of bytes, got 512");
}

}  // namespace
}  // namespace routesig::cuda
