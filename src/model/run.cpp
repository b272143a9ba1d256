#include "run.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "routesig/parallel.hpp"

namespace routesig::olmoe {

namespace {

// Weights of one layer that one token meets: attention and its experts.
std::int64_t active_weights(const OlmoeConfig& config) {
  const std::int64_t hidden = config.hidden_size;
  return 4 * hidden * hidden + 3 * hidden * config.intermediate_size * config.num_experts_per_tok;
}

}  // namespace

ThreadCount::ThreadCount(const OlmoeConfig& config) : before_(at::get_num_threads()) {
  if (const int wanted = active_weights(config) < (1 << 20) ? 1 : num_threads(); wanted != before_)
    at::set_num_threads(wanted);
}

ThreadCount::~ThreadCount() {
  if (at::get_num_threads() != before_) at::set_num_threads(before_);
}

void check_prompts(const char* what, std::span<const TokenIds> prompts, int new_tokens, const OlmoeConfig& config) {
  if (prompts.empty()) throw invalid_argument(what, ": expected at least 1 list of token ids, got none");
  const auto context = static_cast<std::size_t>(config.max_position_embeddings);
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    const TokenIds& ids = prompts[i];
    if (ids.empty()) throw invalid_argument(what, ": expected at least 1 token id in prompt ", i, ", got none");
    if (ids.size() > context)
      throw invalid_argument(what, ": expected at most ", context, " tokens (the model's context) in prompt ", i,
                             ", got ", ids.size());
    if (ids.size() + static_cast<std::size_t>(new_tokens) > context)
      throw invalid_argument(what, ": expected prompt and new tokens to fit the model's context of ", context, ", got ",
                             ids.size(), " + ", new_tokens, " in prompt ", i, " (lower max_new_tokens)");
    for (std::size_t t = 0; t < ids.size(); ++t)
      if (ids[t] < 0 || ids[t] >= config.vocab_size)
        throw invalid_argument(what, ": expected token ids from 0 to ", config.vocab_size - 1, ", got ", ids[t],
                               " (prompt ", i, ", position ", t, ")");
  }
}

Run::Run(const char* what, std::span<const TokenIds> prompts, RoutingRecorder* recorder, const RunOptions& options,
         const OlmoeConfig& config, const RoutingInfo& info)
    : prompts_(prompts), recorder_(recorder), options_(options), info_(info), threads_(config) {
  if (!options.sequences.empty() && options.sequences.size() != prompts.size())
    throw invalid_argument(what, ": expected ", prompts.size(), " sequences (one per prompt), got ",
                           options.sequences.size());
  constexpr auto kLast = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());
  if (options.first_sequence < 0 || prompts.size() > kLast - static_cast<std::size_t>(options.first_sequence))
    throw invalid_argument(what, ": expected sequence numbers from 0 to ", kLast, ", got ", prompts.size(), " from ",
                           options.first_sequence);
  const std::size_t rotated = options.rotated ? options.rotated->size() : 0;
  if (options.rotated_recorders.size() != rotated || std::ranges::count(options.rotated_recorders, nullptr) > 0)
    throw invalid_argument(what, ": expected ", rotated, " recorders (one a rotated router), got ",
                           options.rotated_recorders.size() -
                               static_cast<std::size_t>(std::ranges::count(options.rotated_recorders, nullptr)));
  if (rotated > 0 && options.rotated->impl().weights.size() != static_cast<std::size_t>(info.layers))
    throw invalid_argument(what, ": expected rotated routers of this model, got another's");
  for (std::size_t i = 0; i < options.sequences.size(); ++i)
    if (const int given = options.sequences[i].prompt_tokens; given < 0 || std::cmp_greater(given, prompts[i].size()))
      throw invalid_argument(what, ": expected prompt_tokens from 0 to ", prompts[i].size(), ", got ", given,
                             " (prompt ", i, ")");
  if (recorder != nullptr) claims_.emplace_back(*recorder);
  for (RoutingRecorder* one : options.rotated_recorders) claims_.emplace_back(*one);
}

void Run::begin() const {
  if (options_.begun) return;
  if (recorder_ != nullptr) recorder_->begin(info_);
  for (std::size_t i = 0; i < options_.rotated_recorders.size(); ++i)
    options_.rotated_recorders[i]->begin(options_.rotated->info(i));
}

void Run::end() const {
  if (options_.begun) return;
  if (recorder_ != nullptr) recorder_->end();
  for (RoutingRecorder* rotated : options_.rotated_recorders) rotated->end();
}

void Run::begin_sequence(std::size_t prompt) const {
  const SequenceInfo info = sequence_info(prompt);
  if (recorder_ != nullptr) recorder_->begin_sequence(sequence(prompt), info);
  for (RoutingRecorder* rotated : options_.rotated_recorders) rotated->begin_sequence(sequence(prompt), info);
}

void Run::end_sequence(std::size_t prompt) const {
  if (recorder_ != nullptr) recorder_->end_sequence(sequence(prompt));
  for (RoutingRecorder* rotated : options_.rotated_recorders) rotated->end_sequence(sequence(prompt));
}

RotatedPass Run::rotated() const noexcept {
  if (!options_.rotated) return {};
  return {.weights = options_.rotated->impl().weights, .recorders = options_.rotated_recorders};
}

std::int32_t Run::sequence(std::size_t prompt) const {
  return options_.first_sequence + static_cast<std::int32_t>(prompt);
}

std::size_t Run::prompt_tokens(std::size_t prompt) const {
  const int given = options_.sequences.empty() ? 0 : options_.sequences[prompt].prompt_tokens;
  return given > 0 ? static_cast<std::size_t>(given) : prompts_[prompt].size();
}

SequenceInfo Run::sequence_info(std::size_t prompt) const {
  SequenceInfo info;
  if (options_.sequences.empty())
    info.id = sentence(sequence(prompt));
  else
    info = options_.sequences[prompt];
  info.prompt_tokens = static_cast<int>(prompt_tokens(prompt));
  return info;
}

}  // namespace routesig::olmoe
