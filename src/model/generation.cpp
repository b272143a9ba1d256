#include "generation.hpp"

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>

#include <algorithm>

#include "prefill.hpp"
#include "sampling.hpp"

namespace routesig::olmoe {
namespace {

std::int64_t capacity_for(std::span<const TokenIds> prompts, int max_new_tokens) {
  constexpr int kAtOnce = 64;  // the cache doubles when more is needed
  std::size_t longest = 0;
  for (const TokenIds& prompt : prompts) longest = std::max(longest, prompt.size());
  return static_cast<std::int64_t>(longest) + std::min(max_new_tokens, kAtOnce);
}

class Generation {
 public:
  Generation(const OlmoeConfig& config, const Weights& weights, std::span<const TokenIds> prompts,
             const GenerateOptions& options, const Run& run)
      : config_(config),
        weights_(weights),
        prompts_(prompts),
        options_(options),
        run_(run),
        cache_(config, static_cast<std::int64_t>(prompts.size()), capacity_for(prompts, options.max_new_tokens),
               at::TensorOptions(weights.device()).dtype(weights.dtype())),
        new_ids_(prompts.size()) {}

  std::vector<TokenIds> run() {
    prefill(config_, weights_, prompts_, run_, &cache_, /*hidden_wanted=*/true,
            [&](std::size_t begin, std::size_t end, const Step& step, const at::Tensor& hidden) {
              start(begin, end, step, hidden);
            });
    while (!live_.empty()) decode();
    return std::move(new_ids_);
  }

 private:
  // A sequence that goes on; its index in live_ is its slot in the cache.
  struct Live {
    std::size_t prompt;
    std::int32_t position;  // of the token to be fed next
    Random random;
  };

  void start(std::size_t begin, std::size_t end, const Step& step, const at::Tensor& hidden) {
    at::Tensor last = at::empty({static_cast<std::int64_t>(end - begin)}, at::kLong);
    for (std::size_t i = begin; i < end; ++i) {
      const Segment& segment = step.segments[i - begin];
      last.mutable_data_ptr<std::int64_t>()[i - begin] = segment.first_row + segment.length - 1;
      const std::uint64_t stream =
          options_.streams.empty() ? static_cast<std::uint64_t>(run_.sequence(i)) : options_.streams[i];
      live_.push_back({i, static_cast<std::int32_t>(segment.length), Random(options_.seed, stream)});
    }
    choose(live_.size() - (end - begin), hidden.index_select(0, last.to(hidden.device())));
  }

  // Feeds the newest token of every live sequence.
  void decode() {
    run_.poll();
    Step step;
    for (Live& live : live_)
      step.add(run_.sequence(live.prompt), live.position++, new_ids_[live.prompt].back(), TokenType::generation);
    choose(0, run_layers(config_, weights_, step,
                         {.cache = &cache_, .recorder = run_.recorder(), .rotated = run_.rotated()}));
  }

  // Takes the next token of live_[first ...] from their last hidden states [rows, D], and lets go of the finished.
  void choose(std::size_t first, const at::Tensor& hidden) {
    const at::Tensor logits = apply_head(config_, weights_, hidden).to(at::kCPU, at::kFloat).contiguous();
    const auto vocab = static_cast<std::size_t>(logits.size(1));
    for (std::size_t slot = first; slot < live_.size(); ++slot) {
      Live& live = live_[slot];
      const std::span row(logits.const_data_ptr<float>() + (slot - first) * vocab, vocab);
      new_ids_[live.prompt].push_back(options_.temperature > 0.0 ? sample(row, options_.temperature, live.random)
                                                                 : most_likely(row));
      if (finished(live)) run_.end_sequence(live.prompt);
    }
    for (std::size_t slot = live_.size(); slot-- > first;)  // from the back: only settled ones move
      if (finished(live_[slot])) {
        cache_.release(static_cast<std::int64_t>(slot));
        live_[slot] = live_.back();
        live_.pop_back();
      }
  }

  [[nodiscard]] bool finished(const Live& live) const {
    const TokenIds& ids = new_ids_[live.prompt];
    if (std::cmp_equal(ids.size(), options_.max_new_tokens)) return true;
    return !options_.ignore_eos && std::ranges::find(config_.eos_token_ids, ids.back()) != config_.eos_token_ids.end();
  }

  const OlmoeConfig& config_;
  const Weights& weights_;
  std::span<const TokenIds> prompts_;
  const GenerateOptions& options_;
  const Run& run_;
  KeyValueCache cache_;
  std::vector<Live> live_;
  std::vector<TokenIds> new_ids_;
};

// Nothing is to be generated: only the routing of the prompts is wanted, if anything.
void record_prompts(const OlmoeConfig& config, const Weights& weights, std::span<const TokenIds> prompts,
                    const Run& run) {
  if (run.recorder() == nullptr) return;
  prefill(config, weights, prompts, run, nullptr, /*hidden_wanted=*/false,
          [&](std::size_t begin, std::size_t end, const Step&, const at::Tensor&) {
            for (std::size_t i = begin; i < end; ++i) run.end_sequence(i);
          });
}

}  // namespace

std::vector<TokenIds> generate(const OlmoeConfig& config, const Weights& weights, std::span<const TokenIds> prompts,
                               const GenerateOptions& options, const Run& run) {
  if (options.max_new_tokens > 0) return Generation(config, weights, prompts, options, run).run();
  record_prompts(config, weights, prompts, run);
  return std::vector<TokenIds>(prompts.size());
}

}  // namespace routesig::olmoe
