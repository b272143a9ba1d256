/// \file labelling.hpp
/// The ways to permute the task labels of prompts: all of them where they are few, random ones otherwise.
///
///     const routesig::Labellings labellings(std::vector<int>{0, 0, 1, 1}, {.permutations = 10'000, .seed = 0});
///     std::vector<std::uint32_t> label(labellings.units());
///     for (std::size_t i = 0; i < labellings.size(); ++i) labellings.fill(i, label);   // here 6 of them: exact()
///
/// Where prompts have sources that cross tasks (data sets, languages, authors), labels are permuted within each source:
/// a blocked design, in which what is common to a source cannot look like a task.
///
/// Labelling i is a pure function of (labels, seed, i): work may be split over any number of threads. The random words
/// of labellings 2 s and 2 s + 1 are the two halves of those of stream s: xoshiro128++ (Blackman and Vigna, ACM TOMS
/// 2021) from a state that Philox draws, which takes a fifth of the instructions of Philox throughout.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/random.hpp"
#include "routesig/statistics/statistics.hpp"
#include "routesig/statistics/unit_pairs.hpp"

namespace routesig {

struct LabellingOptions {
  std::size_t permutations = 10'000;  ///< random labellings; where no more are possible, each of them once
  std::uint64_t seed = 0;
  Draws purpose = Draws::label_permutation;
  std::vector<int> source{};  ///< [prompts] or empty: labels stay within a source; negative: none, which is one too
};

class Labellings {
 public:
  /// Labellings that `fill_lanes` makes side by side.
  static constexpr std::size_t kLanes = 128;
  template <typename Label>
  using Lanes = std::array<Label, kLanes>;

  /// `labels` [units], each 0 or more; `options.source` is not looked at.
  explicit Labellings(std::span<const int> labels, const LabellingOptions& options = {})
      : Labellings(labels, std::span<const int>(), options) {}

  /// The labels of `units`, whole units within the sources of their prompts.
  Labellings(const Units& units, const LabellingOptions& options)
      : Labellings(units.task(), sources_of(units, options.source), options) {}

  [[nodiscard]] std::size_t units() const noexcept { return units_; }
  [[nodiscard]] std::size_t tasks() const noexcept { return tasks_; }
  /// Whether each possible labelling comes once.
  [[nodiscard]] bool exact() const noexcept { return exact_; }
  [[nodiscard]] std::size_t size() const noexcept {
    return exact_ ? static_cast<std::size_t>(*possible_) : options_.permutations;
  }
  /// Different labellings; absent above 2^63.
  [[nodiscard]] std::optional<std::uint64_t> possible() const noexcept { return possible_; }

  /// The smallest p-value that a test over them can give; 1 where no test is possible. Tasks with equally many units in
  /// every source may swap names without changing a partition, so that under enumeration more than one labelling ties
  /// with the observed one.
  [[nodiscard]] double floor() const {
    if (!exact_) return 1.0 / (1.0 + static_cast<double>(size()));
    double ties = 1.0;
    std::map<std::vector<std::size_t>, std::size_t> alike;  // units in every block -> tasks so far
    for (std::size_t task = 0; task < tasks_; ++task) {
      std::vector<std::size_t> counts;
      counts.reserve(blocks_.size());
      for (const Block& block : blocks_) counts.push_back(block.counts[task]);
      if (std::ranges::any_of(counts, [](std::size_t n) { return n > 0; }))
        ties *= static_cast<double>(++alike[counts]);
    }
    return std::min(1.0, ties / static_cast<double>(size()));
  }

  /// One-sided, upper: (1 + #{draw >= observed}) / (1 + draws), or #/draws where these are all labellings, the observed
  /// one among them. `draws` are the statistic's values, one a labelling.
  [[nodiscard]] PValue p_value(double observed, std::span<const double> draws) const {
    if (!exact_) return upper_p_value(observed, draws);
    const auto reached = std::ranges::count_if(draws, [&](double draw) { return at_least(draw, observed); });
    const double share = static_cast<double>(reached) / static_cast<double>(draws.size());
    return {.value = std::max(share, floor()), .floor = floor()};
  }

  /// Labelling `index`: out [units].
  void fill(std::size_t index, std::span<std::uint32_t> out) const {
    if (exact_)
      fill_ranked(index, out);
    else
      fill_random(index, out);
  }

  /// Labellings kLanes batch ... kLanes batch + kLanes - 1 side by side: out [units]. What lies beyond size() means
  /// nothing. `Label` is an unsigned type that holds tasks() - 1.
  template <typename Label>
  void fill_lanes(std::size_t batch, std::span<Lanes<Label>> out) const {
    const std::size_t first = kLanes * batch;
    if (exact_ || blocks_.size() > 1 || units_ > std::numeric_limits<std::uint16_t>::max()) {
      for (std::size_t lane = 0; lane < std::min(kLanes, size() - first); ++lane) fill_lane(first + lane, lane, out);
    } else if (units_ > std::numeric_limits<std::uint8_t>::max()) {
      fill_random_lanes<std::uint16_t>(first, out);
    } else {
      fill_random_lanes<std::uint8_t>(first, out);
    }
  }

 private:
  /// Labels are drawn one at a time, each with the probability of its share of the labels left. One random word serves
  /// several of them: draw i of a word is the high part of (what is left of it) x (labels left), as in Random::below.
  struct Word {
    std::size_t first = 0, last = 0;  // units of the block
    std::uint32_t threshold = 0;      // a word whose rest is below it is rejected
  };

  /// Units whose labels are permuted among themselves: those of one source, or all.
  struct Block {
    std::vector<std::uint32_t> units{};  // places of its units
    std::vector<std::size_t> counts{};   // [tasks]
    std::vector<Word> words{};
    std::uint64_t possible = 1;  // labellings, where they are counted
  };

  Labellings(std::span<const int> labels, std::span<const int> source, const LabellingOptions& options)
      : options_(options), units_(labels.size()) {
    if (options.permutations == 0) throw invalid_argument("permutation: expected 1 permutation or more, got 0");
    for (const int label : labels) {
      if (label < 0) throw invalid_argument("permutation: expected labels of 0 or more, got ", label);
      tasks_ = std::max(tasks_, static_cast<std::size_t>(label) + 1);
    }
    std::map<int, std::size_t> block_of;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const std::size_t at = block_of.try_emplace(source.empty() ? 0 : source[i], blocks_.size()).first->second;
      if (at == blocks_.size()) blocks_.push_back({.counts = std::vector<std::size_t>(tasks_)});
      blocks_[at].units.push_back(static_cast<std::uint32_t>(i));
      ++blocks_[at].counts[static_cast<std::size_t>(labels[i])];
    }
    if (blocks_.empty()) blocks_.emplace_back();
    for (Block& block : blocks_) block.words = words_of(block.units.size());
    possible_ = count_possible();
    exact_ = possible_ && *possible_ <= options.permutations;
  }

  /// The source of every unit; those without one share a block.
  [[nodiscard]] static std::vector<int> sources_of(const Units& units, std::span<const int> source) {
    std::vector<int> out;
    if (source.empty()) return out;
    if (source.size() != units.prompts())
      throw invalid_argument("sources: expected one per prompt (", units.prompts(), "), got ", source.size());
    for (std::size_t unit = 0; unit < units.size(); ++unit) {
      const auto& prompts = units.members(unit);
      out.push_back(std::max(source[prompts.front()], -1));
      for (const std::size_t i : prompts)
        if (std::max(source[i], -1) != out.back())
          throw invalid_argument("sources: expected every group within one source, got prompts ", prompts.front(),
                                 " and ", i, " of one group in different sources");
    }
    return out;
  }

  static constexpr std::uint64_t kMostPossible = std::uint64_t{1} << 63U;

  /// The product over blocks of units! / (product of counts!).
  [[nodiscard]] std::optional<std::uint64_t> count_possible() {
    std::uint64_t total = 1;
    for (Block& block : blocks_) {
      const std::optional<std::uint64_t> of_block = count_possible(block.counts);
      if (!of_block || total > kMostPossible / *of_block) return std::nullopt;
      block.possible = *of_block;
      total *= *of_block;
    }
    return total;
  }
  /// As a product of binomials that stays whole at each step.
  [[nodiscard]] static std::optional<std::uint64_t> count_possible(std::span<const std::size_t> counts) {
    std::uint64_t total = 1, placed = 0;
    for (const std::size_t count : counts)
      for (std::uint64_t k = 1; k <= count; ++k) {
        ++placed;
        // total * placed / k without leaving 64 bits: total = q k + r.
        const std::uint64_t q = total / k, r = total % k;
        if (q > kMostPossible / placed || r > kMostPossible / placed || q * placed > kMostPossible - r * placed / k)
          return std::nullopt;
        total = q * placed + r * placed / k;
      }
    return total;
  }

  void fill_ranked(std::size_t rank, std::span<std::uint32_t> out) const {
    std::uint64_t index = rank;
    for (const Block& block : blocks_) {
      fill_ranked(block, index % block.possible, out);
      index /= block.possible;
    }
  }
  static void fill_ranked(const Block& block, std::uint64_t index, std::span<std::uint32_t> out) {
    std::vector<std::size_t> left = block.counts;
    std::uint64_t rest = block.possible;
    for (std::size_t i = 0; i < block.units.size(); ++i) {
      const std::uint64_t places = block.units.size() - i;
      for (std::size_t task = 0;; ++task) {
        const std::uint64_t with = rest * left[task] / places;  // labellings that go on with this task
        if (index < with) {
          out[block.units[i]] = static_cast<std::uint32_t>(task);
          --left[task];
          rest = with;
          break;
        }
        index -= with;
      }
    }
  }

  [[nodiscard]] static std::vector<Word> words_of(std::size_t units) {
    constexpr std::uint64_t limit = std::uint64_t{1} << 18U;  // more per word would reject too many
    std::vector<Word> out;
    for (std::size_t i = 0; i < units;) {
      std::uint64_t product = units - i;
      std::size_t last = i + 1;
      while (last < units && product * (units - last) <= limit) product *= units - last++;
      out.push_back({i, last, static_cast<std::uint32_t>((std::uint64_t{1} << 32U) % product)});
      i = last;
    }
    return out;
  }

  // Halves of the words of kLanes / 2 streams: element i is of labelling i.
  using Halves = Lanes<std::uint16_t>;
  using Words = std::array<std::uint32_t, kLanes / 2>;

  /// The next word of xoshiro128++.
  [[nodiscard]] static constexpr std::uint32_t next_word(std::uint32_t& a, std::uint32_t& b, std::uint32_t& c,
                                                         std::uint32_t& d) noexcept {
    const std::uint32_t word = std::rotl(a + d, 7) + a, shifted = b << 9U;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = std::rotl(d, 11);
    return word;
  }
  [[nodiscard]] std::array<std::uint32_t, 4> first_state(std::size_t index) const noexcept {
    const std::uint64_t id = stream(options_.purpose, index / 2);
    return philox({0, 0, static_cast<std::uint32_t>(id), static_cast<std::uint32_t>(id >> 32U)},
                  {static_cast<std::uint32_t>(options_.seed), static_cast<std::uint32_t>(options_.seed >> 32U)});
  }

  void fill_random(std::size_t index, std::span<std::uint32_t> out) const {
    std::array<std::uint32_t, 4> state = first_state(index);
    const auto half = [&] {
      const std::uint32_t word = next_word(state[0], state[1], state[2], state[3]);
      return std::uint32_t{std::bit_cast<std::array<std::uint16_t, 2>>(word)[index % 2]};
    };
    for (const Block& block : blocks_) fill_random(block, half, out);
  }
  /// `half` gives 16 random bits.
  template <typename Half>
  static void fill_random(const Block& block, const Half& half, std::span<std::uint32_t> out) {
    std::vector<std::size_t> left = block.counts;
    for (const auto& [first, last, threshold] : block.words) {
      std::uint32_t word = 0;
      do {
        word = half() << 16U;
        word |= half();
        for (std::size_t i = first; i < last; ++i) {
          const std::uint64_t product = std::uint64_t{word} * (block.units.size() - i);
          out[block.units[i]] = static_cast<std::uint32_t>(product >> 32U);
          word = static_cast<std::uint32_t>(product);
        }
      } while (word < threshold);
      for (std::size_t i = first; i < last; ++i) {
        std::uint32_t& label = out[block.units[i]];
        std::size_t task = 0;
        for (std::size_t draw = label; draw >= left[task]; ++task) draw -= left[task];
        --left[task];
        label = static_cast<std::uint32_t>(task);
      }
    }
  }

  template <typename Label>
  void fill_lane(std::size_t index, std::size_t lane, std::span<Lanes<Label>> out) const {
    std::vector<std::uint32_t> labels(units_);
    fill(index, labels);
    for (std::size_t i = 0; i < units_; ++i) out[i][lane] = static_cast<Label>(labels[i]);
  }

  /// What `fill_random` gives for each lane of the one block there is, in loops over lanes that compile to vector
  /// instructions: a word is two halves, because those have an instruction that multiplies as many as a register holds.
  /// `Count` holds units_.
  template <typename Count, typename Label>
  void fill_random_lanes(std::size_t first, std::span<Lanes<Label>> out) const {
    // up_to[task][lane]: labels of `task` and the tasks before it that are left.
    std::vector<Lanes<Count>> up_to(tasks_ - 1);
    std::size_t before = 0;
    for (std::size_t task = 0; task < up_to.size(); ++task)
      up_to[task].fill(static_cast<Count>(before += blocks_.front().counts[task]));
    std::array<Words, 4> state;
    for (std::size_t s = 0; s < kLanes / 2; ++s) {
      const auto one = first_state(first + 2 * s);
      for (std::size_t k = 0; k < 4; ++k) state[k][s] = one[k];
    }
    Halves rejected{};
    for (const auto& [begin, end, threshold] : blocks_.front().words) {
      Halves high = next_halves(state), low = next_halves(state);
      for (std::size_t i = begin; i < end; ++i) {
        const auto draw = take_draw<Count>(high, low, static_cast<std::uint16_t>(units_ - i));
        Lanes<Count> task{};
        for (auto& left : up_to)
          for (std::size_t lane = 0; lane < kLanes; ++lane) {
            const bool beyond = draw[lane] >= left[lane];
            task[lane] = static_cast<Count>(task[lane] + beyond);
            left[lane] = static_cast<Count>(left[lane] + beyond - 1);
          }
        for (std::size_t lane = 0; lane < kLanes; ++lane) out[i][lane] = static_cast<Label>(task[lane]);
      }
      const auto limit_high = static_cast<std::uint16_t>(threshold >> 16U),
                 limit_low = static_cast<std::uint16_t>(threshold);
      for (std::size_t lane = 0; lane < kLanes; ++lane) {
        const bool below = high[lane] < limit_high, equal = high[lane] == limit_high, rest = low[lane] < limit_low;
        rejected[lane] =
            static_cast<std::uint16_t>(rejected[lane] | static_cast<std::uint16_t>(below | (equal & rest)));
      }
    }
    for (std::size_t lane = 0; lane < kLanes; ++lane)
      if (rejected[lane] != 0) fill_lane(first + lane, lane, out);
  }

  [[nodiscard]] static Halves next_halves(std::array<Words, 4>& state) noexcept {
    Words out;
    auto& [a, b, c, d] = state;
    for (std::size_t s = 0; s < out.size(); ++s) out[s] = next_word(a[s], b[s], c[s], d[s]);
    return std::bit_cast<Halves>(out);
  }

  /// Word x places: what overflows is the draw, the rest stays.
  template <typename Count>
  [[nodiscard]] static Lanes<Count> take_draw(Halves& high, Halves& low, std::uint16_t places) noexcept {
    const auto overflow = [places](std::uint16_t half) {
      return static_cast<std::uint16_t>(std::uint32_t{half} * places >> 16U);
    };
    Lanes<Count> draw;
    for (std::size_t lane = 0; lane < kLanes; ++lane) {
      const std::uint16_t carried = overflow(low[lane]);
      const auto sum = static_cast<std::uint16_t>(static_cast<std::uint16_t>(high[lane] * places) + carried);
      draw[lane] = static_cast<Count>(overflow(high[lane]) + (sum < carried ? 1 : 0));
      high[lane] = sum;
      low[lane] = static_cast<std::uint16_t>(low[lane] * places);
    }
    return draw;
  }

  LabellingOptions options_;
  std::size_t units_ = 0, tasks_ = 0;
  std::vector<Block> blocks_;
  std::optional<std::uint64_t> possible_;
  bool exact_ = false;
};

}  // namespace routesig
