#include "prefill.hpp"

namespace routesig::olmoe {
namespace {

void add_sequence(Step& step, const TokenIds& ids, std::size_t prompt, const Run& run, KeyValueCache* cache) {
  const auto length = static_cast<std::int64_t>(ids.size());
  step.segments.push_back({.first_row = static_cast<std::int64_t>(step.token.size()),
                           .length = length,
                           .slot = cache != nullptr ? cache->take_slot(length) : 0});
  const std::size_t prompt_tokens = run.prompt_tokens(prompt);
  for (std::size_t t = 0; t < ids.size(); ++t)
    step.add(run.sequence(prompt), static_cast<std::int32_t>(t), ids[t],
             t < prompt_tokens ? TokenType::prompt : TokenType::generation);
}

}  // namespace

void prefill(const OlmoeConfig& config, const Weights& weights, std::span<const TokenIds> prompts, const Run& run,
             KeyValueCache* cache, bool hidden_wanted, const StepDone& done) {
  const Pass pass{.cache = cache, .recorder = run.recorder(), .rotated = run.rotated(), .hidden_wanted = hidden_wanted};
  for (std::size_t begin = 0, end = 0; begin < prompts.size(); begin = end) {
    run.poll();
    Step step;
    do {
      run.begin_sequence(end);
      add_sequence(step, prompts[end], end, run, cache);
      ++end;
    } while (end < prompts.size() && step.token.size() + prompts[end].size() <= kStepRows);
    done(begin, end, step, run_layers(config, weights, step, pass));
  }
}

}  // namespace routesig::olmoe
