// The core on its own: what a recorded token costs, signatures, similarity matrices.
#include <benchmark/benchmark.h>

#include <cstdint>
#include <numeric>
#include <vector>

#include "routesig/analysis.hpp"
#include "support/traces.hpp"

namespace {

using namespace routesig;

// OLMoE's shape: 16 layers, 64 experts, top-8.
const auto kShape = testing::shape(16, 64, 8);

std::vector<RoutingTrace> some_traces(int n, int tokens) {
  std::vector<RoutingTrace> traces;
  for (int i = 0; i < n; ++i)
    traces.push_back(testing::random_trace(kShape, tokens, tokens / 2, static_cast<std::uint64_t>(i)));
  return traces;
}

// Step `number` of `rows` tokens through all layers into `recorder`.
void feed(RoutingRecorder& recorder, const RoutingTrace& source, int rows, std::int32_t number) {
  const std::vector<std::int32_t> sequence(static_cast<std::size_t>(rows));
  const std::vector<TokenType> type(static_cast<std::size_t>(rows));
  std::vector<std::int32_t> position(static_cast<std::size_t>(rows));
  std::iota(position.begin(), position.end(), number * rows);
  recorder.step({.sequence = sequence, .position = position, .token = {}, .type = type});
  const auto values = static_cast<std::size_t>(rows) * 8;
  for (int layer = 0; layer < 16; ++layer)
    recorder.layer(
        {.layer = layer,
         .experts = std::span(source.columns().experts).subspan(static_cast<std::size_t>(layer) * values, values),
         .weights = std::span(source.columns().weights).first(values)});
}

void RecordTrace(benchmark::State& state) {
  const RoutingTrace source = testing::random_trace(kShape, 256, 256, 1);
  const auto rows = static_cast<int>(state.range(0));
  for (auto _ : state) {
    TraceRecorder recorder;
    recorder.begin(*kShape);
    recorder.begin_sequence(0, {});
    for (int i = 0; i < 64; ++i) feed(recorder, source, rows, i);
    recorder.end();
    benchmark::DoNotOptimize(recorder.traces()[0].tokens());
  }
  state.SetItemsProcessed(state.iterations() * 64 * rows);
}
BENCHMARK(RecordTrace)->Arg(1)->Arg(128)->Unit(benchmark::kMicrosecond);

void RecordSignature(benchmark::State& state) {
  const RoutingTrace source = testing::random_trace(kShape, 256, 256, 1);
  SignatureRecorder recorder;
  recorder.begin(*kShape);
  recorder.begin_sequence(0, {});
  const auto rows = static_cast<int>(state.range(0));
  std::int32_t number = 0;
  for (auto _ : state) feed(recorder, source, rows, number++);
  state.SetItemsProcessed(state.iterations() * rows);
}
BENCHMARK(RecordSignature)->Arg(1)->Arg(128)->Unit(benchmark::kMicrosecond);

void Signatures(benchmark::State& state) {
  const std::vector<RoutingTrace> traces = some_traces(80, 46);
  for (auto _ : state) benchmark::DoNotOptimize(signatures(std::span<const RoutingTrace>(traces)));
  state.SetItemsProcessed(state.iterations() * 80 * 46);
}
BENCHMARK(Signatures)->Unit(benchmark::kMicrosecond);

void SimilarityMatrix(benchmark::State& state) {
  const auto set = signatures(std::span<const RoutingTrace>(some_traces(static_cast<int>(state.range(0)), 8)));
  for (auto _ : state) benchmark::DoNotOptimize(similarity_matrix(set));
  state.SetItemsProcessed(state.iterations() * state.range(0) * state.range(0) * 1024);
}
BENCHMARK(SimilarityMatrix)->Arg(80)->Arg(2000)->Unit(benchmark::kMillisecond);

// Prompts whose tasks are drawn at random: the slowest case for the classifier, 1,024 features, four tasks.
void LogisticFolds(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto set = signatures(std::span<const RoutingTrace>(some_traces(static_cast<int>(n), 8)));
  const Features x(set.values, n, 1024);
  std::vector<int> labels;
  for (std::size_t i = 0; i < n; ++i) labels.push_back(static_cast<int>(i % 4));
  Random random(0);
  const std::vector<int> fold = stratified_folds(labels, 5, random);
  const LogisticRegression classifier({.standardize = true});
  for (auto _ : state) benchmark::DoNotOptimize(cross_validate(x, labels, fold, classifier));
}
BENCHMARK(LogisticFolds)->Arg(80)->Arg(2000)->Unit(benchmark::kMillisecond)->UseRealTime();

void PrincipalComponents(benchmark::State& state) {
  const auto n = static_cast<std::size_t>(state.range(0));
  const auto set = signatures(std::span<const RoutingTrace>(some_traces(static_cast<int>(n), 8)));
  const Features x(set.values, n, 1024);
  for (auto _ : state) benchmark::DoNotOptimize(pca(x, 2));
}
BENCHMARK(PrincipalComponents)->Arg(80)->Arg(2000)->Unit(benchmark::kMillisecond)->UseRealTime();

}  // namespace
