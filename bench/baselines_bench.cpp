// The nulls at the paper's size: 80 prompts of 40 tokens, 16 layers, 64 experts, top-8. And those of long texts: 12
// prompts of 204,000 tokens, 30 layers, 128 experts, top-8.
#include <benchmark/benchmark.h>

#include <vector>

#include "routesig/analysis.hpp"
#include "support/traces.hpp"

namespace {

using namespace routesig;

constexpr int kPrompts = 80, kTokens = 40;

const std::vector<RoutingTrace>& traces() {
  static const auto made = [] {
    const auto shape = testing::shape(16, 64, 8);
    std::vector<RoutingTrace> out;
    for (int i = 0; i < kPrompts; ++i)
      out.push_back(testing::random_trace(shape, kTokens, kTokens / 2, static_cast<std::uint64_t>(i)));
    return out;
  }();
  return made;
}

const SignatureSet<double>& set() {
  static const auto made = signatures(std::span<const RoutingTrace>(traces()));
  return made;
}

std::vector<int> tasks() {
  std::vector<int> task(kPrompts);
  for (std::size_t i = 0; i < task.size(); ++i) task[i] = static_cast<int>(i % 4);
  return task;
}

BaselineOptions options(const benchmark::State& state) {
  return {.repetitions = static_cast<std::size_t>(state.range(0))};
}

// An item is a repetition.
void count(benchmark::State& state) { state.SetItemsProcessed(state.iterations() * state.range(0)); }

void LoadBalance(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(load_balance_baseline({set(), 8}, tasks(), options(state)));
  count(state);
}
BENCHMARK(LoadBalance)->Arg(1000)->UseRealTime()->Unit(benchmark::kMillisecond);

void Permutation(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(permutation_baseline(set(), tasks(), options(state)));
  count(state);
}
BENCHMARK(Permutation)->Arg(1000)->UseRealTime()->Unit(benchmark::kMillisecond);

void Marginal(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(marginal_baseline({set(), 8}, tasks(), options(state)));
  count(state);
}
BENCHMARK(Marginal)->Arg(100)->UseRealTime()->Unit(benchmark::kMillisecond);

void Pool(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(token_pool_baseline(traces(), tasks(), options(state)));
  count(state);
}
BENCHMARK(Pool)->Name("TokenPool")->Arg(1000)->UseRealTime()->Unit(benchmark::kMillisecond);

constexpr std::size_t kLongPrompts = 12, kLongLayers = 30, kLongExperts = 128;

// The most popular expert has three times the tokens of the least popular one; all together 204,000 x 8.
const std::vector<std::uint64_t>& long_counts() {
  static const auto made = [] {
    std::vector<std::uint64_t> out(kLongPrompts * kLongLayers * kLongExperts);
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = 6'400 + 100 * (i % kLongExperts);
    return out;
  }();
  return made;
}

CountView long_texts() { return {long_counts(), kLongPrompts, kLongLayers, kLongExperts, 8}; }

std::vector<int> long_tasks() { return {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2}; }

void LoadBalanceOfLongTexts(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(load_balance_baseline(long_texts(), long_tasks(), options(state)));
  count(state);
}
BENCHMARK(LoadBalanceOfLongTexts)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);

void MarginalOfLongTexts(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(marginal_baseline(long_texts(), long_tasks(), options(state)));
  count(state);
}
BENCHMARK(MarginalOfLongTexts)->Arg(1)->UseRealTime()->Unit(benchmark::kMillisecond);

void DrawExperts(benchmark::State& state) {
  const UniformRows rows(static_cast<std::size_t>(state.range(0)), 8);
  Random random(0);
  std::vector<std::uint64_t> counts(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    rows.add(random, 1000, counts);
    benchmark::DoNotOptimize(counts.data());
  }
  state.SetItemsProcessed(state.iterations() * 8000);
}
BENCHMARK(DrawExperts)->Arg(64)->Arg(256)->Unit(benchmark::kMicrosecond);

}  // namespace
