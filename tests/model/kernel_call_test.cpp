// Tensors handed to the CUDA kernel, run by the emulator, against the CPU's way: what a GPU would be told.
#include "kernel_call.hpp"

#include <ATen/TensorOperators.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/full.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "routesig/random.hpp"
#include "support/simt.hpp"

#pragma GCC diagnostic ignored "-Wsign-conversion"  // GCC deduces the bounds of the kernel's arrays as std::size_t
#include "topk.cuh"

namespace {

using routesig::KernelCall;
using routesig::RouterCall;
using routesig::RouterRule;
using routesig::RouterTensors;
using routesig::Scoring;

void emulate(const routesig::cuda::TopkCall& call) {
  check(call);
  const int words = call.counts != nullptr ? call.experts : 0;
  visit_tile(call, [&]<typename Tile>(Tile) {
    routesig::simt::run({.blocks = 2, .threads = 128, .shared_words = words, .seed = 1},
                        [&] { routesig::cuda::topk_rows<Tile>(call, routesig::simt::SharedMemory{}); });
  });
}

// Ties, and one row with a NaN.
at::Tensor drawn_logits(std::int64_t rows, std::int64_t experts) {
  routesig::Random random(2);
  std::vector<float> values;
  for (std::int64_t i = 0; i < rows * experts; ++i)
    values.push_back(i % 3 == 0 ? static_cast<float>(random.below(4)) : static_cast<float>(random.normal()));
  values[static_cast<std::size_t>(experts)] = std::numeric_limits<float>::quiet_NaN();
  return at::tensor(values).view({rows, experts});
}

RouterTensors places(const RouterCall& call, at::ScalarType trace_type, bool strided) {
  RouterTensors out = empty_result(call);
  const std::int64_t rows = call.logits.size(0), experts = call.logits.size(1);
  out.nonfinite = at::full({rows}, 7, at::kByte);
  if (strided) {  // neither has neighbours side by side
    out.counts = at::full({experts, 2}, 5, at::kLong).select(1, 1);
    out.trace = at::zeros({call.top_k, rows}, at::kByte).to(trace_type).t();
  } else {  // one layer of a step's buffer
    out.counts = at::full({3, experts}, 5, at::kLong)[1];
    out.trace = at::zeros({3, rows, call.top_k}, at::kByte).to(trace_type)[1];
  }
  return out;
}

void expect_the_cpus_result(const RouterCall& call, at::ScalarType trace_type, bool strided) {
  check_call(call);
  const RouterTensors expected = places(call, trace_type, strided), got = places(call, trace_type, strided);
  route(call, expected);
  check_record(call, got.counts, got.trace);
  const KernelCall kernel(call, got);
  emulate(kernel.told());
  kernel.put_back();
  EXPECT_TRUE(at::equal(got.ids, expected.ids));
  EXPECT_TRUE(at::equal(got.counts, expected.counts));
  EXPECT_TRUE(at::equal(got.trace.to(at::kLong), expected.ids));
  EXPECT_TRUE(at::equal(got.nonfinite, expected.nonfinite));
  EXPECT_EQ(got.nonfinite.sum().item().toLong(), 1);
  EXPECT_TRUE(got.weights.allclose(expected.weights, 2e-5, 1e-12, /*equal_nan=*/true));
}

TEST(KernelCall, GivesTheCpusResultForEveryTypeAndRule) {
  const c10::InferenceMode no_gradients;
  const at::Tensor bias = at::full({72, 2}, 0.25F).select(1, 0);
  for (const auto dtype : {at::kFloat, at::kHalf, at::kBFloat16})
    for (const bool strided : {false, true}) {
      const at::Tensor logits = drawn_logits(9, 72).to(dtype);
      for (const RouterRule& rule :
           {RouterRule{}, RouterRule{.renormalize = true}, RouterRule{.scoring = Scoring::softmax_of_chosen}})
        expect_the_cpus_result({.logits = logits, .top_k = 6, .rule = rule}, at::kByte, strided);
      expect_the_cpus_result({.logits = logits,
                              .top_k = 6,
                              .rule = {.scoring = Scoring::sigmoid, .scale = 2.5F, .groups = 4, .kept_groups = 2},
                              .bias = bias},
                             at::kUInt16, strided);
    }
}

TEST(KernelCall, WalksOverStridesOrLaysRowsOutAnew) {
  const c10::InferenceMode no_gradients;
  const at::Tensor wide = drawn_logits(12, 300).slice(1, 0, 299);
  const at::Tensor square = drawn_logits(12, 12);
  for (const at::Tensor& logits : {wide, square, square.t(), square.slice(0, 0, 12, 11).slice(0, 0, 2)}) {
    const RouterCall call{.logits = logits, .top_k = 3};
    const RouterTensors expected = empty_result(call), got = empty_result(call);
    route(call, expected);
    const KernelCall kernel(call, got);
    emulate(kernel.told());
    EXPECT_TRUE(at::equal(got.ids, expected.ids));
    const bool in_place = kernel.told().logits == logits.const_data_ptr();
    EXPECT_EQ(in_place, logits.stride(1) == 1);
  }
}

TEST(KernelCall, LeavesOutWhatNobodyAskedFor) {
  const c10::InferenceMode no_gradients;
  const RouterCall call{.logits = drawn_logits(4, 8), .top_k = 2};
  const RouterTensors out = empty_result(call);
  const KernelCall kernel(call, out);
  EXPECT_EQ(kernel.told().trace, nullptr);
  EXPECT_EQ(kernel.told().counts, nullptr);
  EXPECT_EQ(kernel.told().nonfinite, nullptr);
  EXPECT_EQ(kernel.told().bias, nullptr);
}

}  // namespace
