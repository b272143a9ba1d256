// A call of the router kernel with everything around it: logits of any type, the kernel's outputs between sentinels,
// and what the plain twin of topk.hpp says. Shared by the tests of the kernel and of its mutants.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "routesig/error.hpp"
#include "routesig/random.hpp"
#include "topk_call.hpp"

namespace routesig::cuda {

// --- numbers of 16 bits, by the definition of their formats

inline double half_value(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double sign = (bits & 0x8000) != 0 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

inline std::uint16_t half_bits(float x) {
  const std::uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const double a = std::fabs(static_cast<double>(x));
  if (std::isnan(x)) return sign | 0x7E00;
  if (a >= 65520.0) return sign | 0x7C00;
  const int exponent = a == 0.0 ? -14 : std::max(std::ilogb(a), -14);
  return static_cast<std::uint16_t>(sign + (exponent + 14) * 1024 + std::lrint(std::ldexp(a, 10 - exponent)));
}

inline std::uint16_t bfloat16_bits(float x) {  // cut off, which is a number nearby; a NaN stays one
  return static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(x) >> 16);
}

// --- one problem

struct Problem {
  LogitType type = LogitType::fp32;
  int rows = 67;
  int experts = 64;
  int top_k = 8;
  RouterRule rule{};
  bool biased = false;
  bool record = true;
  int gap = 0;     // elements between rows
  int offset = 0;  // elements before the first: rows that do not lie at 16 bytes
  IdType id_type = IdType::int32;
  std::uint64_t seed = 1;

  [[nodiscard]] std::string text() const {
    return sentence("type ", static_cast<int>(type), ", ", rows, " x ", experts, ", k ", top_k, ", scoring ",
                    static_cast<int>(rule.scoring), rule.renormalize ? ", renormalized" : "", ", groups ", rule.groups,
                    biased ? ", biased" : "", ", gap ", gap, ", offset ", offset);
  }
};

// Everything that a kernel writes.
struct Outputs {
  std::vector<float> weights;
  std::vector<std::int64_t> ids{};
  std::vector<int> trace{};
  std::vector<unsigned long long> counts;
  std::vector<std::uint8_t> nonfinite;
  unsigned long long nonfinite_rows = 0;
};

class TopkProblem {
 public:
  explicit TopkProblem(const Problem& problem) : problem_(problem) {
    Random random(problem.seed, static_cast<std::uint64_t>(problem.experts));
    for (int row = 0; row < problem.rows; ++row) draw_row(row, random);
    if (problem.biased)
      for (int e = 0; e < problem.experts; ++e) bias_.push_back(static_cast<float>(random.normal()) / 8.0F);
    encode();
  }

  [[nodiscard]] const Problem& problem() const { return problem_; }
  [[nodiscard]] std::span<const float> row(int r) const {
    return std::span(logits_).subspan(static_cast<std::size_t>(r) * experts(), experts());
  }
  [[nodiscard]] std::span<const float> bias() const { return bias_; }

  // Runs `kernel(call)` on a part of the rows.
  template <typename Kernel>
  Outputs run(const Kernel& kernel, int first_row, int rows) const {
    constexpr int kTraceGap = 3;
    constexpr std::uint8_t kUntouched = 0xA5;
    const auto n = static_cast<std::size_t>(rows), k = static_cast<std::size_t>(problem_.top_k);
    const std::size_t id_bytes = problem_.id_type == IdType::int32 ? 4 : 8, trace_bytes = experts() <= 256 ? 1 : 2;
    const std::size_t stride = experts() + static_cast<std::size_t>(problem_.gap);
    Outputs out{.weights = std::vector<float>(n * k),
                .counts = std::vector<unsigned long long>(experts(), 1000),
                .nonfinite = std::vector<std::uint8_t>(n, kUntouched),
                .nonfinite_rows = 5};
    std::vector<std::uint8_t> ids(n * k * id_bytes), trace(n * (k + kTraceGap) * trace_bytes, kUntouched);
    TopkCall call{.logits = bytes_.data() + logit_bytes() * (static_cast<std::size_t>(problem_.offset) +
                                                             static_cast<std::size_t>(first_row) * stride),
                  .logit_type = problem_.type,
                  .rows = rows,
                  .row_stride = static_cast<std::int64_t>(stride),
                  .experts = problem_.experts,
                  .top_k = problem_.top_k,
                  .rule = problem_.rule,
                  .bias = problem_.biased ? bias_.data() : nullptr,
                  .weights = out.weights.data(),
                  .ids = ids.data(),
                  .id_type = problem_.id_type};
    if (problem_.record) {
      call.trace = trace.data();
      call.trace_type = trace_bytes == 1 ? TraceType::u8 : TraceType::u16;
      call.trace_stride = problem_.top_k + kTraceGap;
      call.counts = out.counts.data();
      call.nonfinite = out.nonfinite.data();
      call.nonfinite_rows = &out.nonfinite_rows;
    }
    kernel(call);
    for (std::size_t i = 0; i < n * k; ++i) out.ids.push_back(integer(&ids[i * id_bytes], id_bytes));
    for (std::size_t i = 0; i < n * (k + kTraceGap); ++i)
      out.trace.push_back(static_cast<int>(integer(&trace[i * trace_bytes], trace_bytes)));
    return out;
  }

  // The first difference from the plain twin of all that is written, or "".
  template <typename Kernel>
  std::string difference(const Kernel& kernel) const {
    const Outputs out = run(kernel, 0, problem_.rows);
    const auto k = static_cast<std::size_t>(problem_.top_k);
    std::vector<unsigned long long> counts(experts(), 1000);
    unsigned long long nonfinite_rows = 5;
    std::vector<ExpertId> ids(k);
    std::vector<float> weights(k);
    for (int r = 0; r < problem_.rows; ++r) {
      const bool nonfinite = route_row(row(r), ids, weights, problem_.rule, bias_);
      const double largest = *std::ranges::max_element(row(r));
      nonfinite_rows += nonfinite ? 1 : 0;
      for (std::size_t i = 0; i < k; ++i) {
        const std::size_t at = static_cast<std::size_t>(r) * k + i;
        ++counts[ids[i]];
        if (out.ids[at] != ids[i])
          return sentence("row ", r, ", rank ", i, ": expected expert ", ids[i], ", got ", out.ids[at]);
        const double off = std::abs(static_cast<double>(out.weights[at]) - weights[i]);
        const bool same = std::isnan(weights[i]) ? std::isnan(out.weights[at])
                                                 : off <= tolerance(row(r)[ids[i]], largest) * weights[i] + 1e-37;
        if (!same)
          return sentence("row ", r, ", rank ", i, ": expected weight ", weights[i], ", got ", out.weights[at]);
        if (problem_.record && out.trace[at + 3 * static_cast<std::size_t>(r)] != ids[i])
          return sentence("row ", r, ", rank ", i, ": traced ", out.trace[at + 3 * static_cast<std::size_t>(r)]);
      }
      if (problem_.record && out.nonfinite[static_cast<std::size_t>(r)] != (nonfinite ? 1 : 0))
        return sentence("row ", r, ": nonfinite is ", int{out.nonfinite[static_cast<std::size_t>(r)]});
    }
    if (!problem_.record) return "";
    if (out.nonfinite_rows != nonfinite_rows) return sentence("nonfinite rows: ", out.nonfinite_rows);
    for (std::size_t e = 0; e < experts(); ++e)
      if (out.counts[e] != counts[e])
        return sentence("expert ", e, ": expected a count of ", counts[e], ", got ", out.counts[e]);
    const int untouched = experts() <= 256 ? 0xA5 : 0xA5A5;
    for (std::size_t i = 0; i < out.trace.size(); ++i)
      if (i % (k + 3) >= k && out.trace[i] != untouched) return sentence("trace: wrote between the rows, at ", i);
    return "";
  }

  // Of a weight, relative. In units of 2^-24: the rounding of logit - largest moves e^x by up to |x| of them, at most
  // 37 additions follow one another (32 values of a lane, five butterflies), and two exponentials (two each at most), a
  // division, the scale and the twin's own rounding add up to 7.
  static double tolerance(double logit, double largest) {
    const double x = std::isfinite(logit - largest) ? std::abs(logit - largest) : 0.0;
    return (44.0 + x) * 0x1p-24;
  }

 private:
  [[nodiscard]] std::size_t experts() const { return static_cast<std::size_t>(problem_.experts); }
  [[nodiscard]] std::size_t logit_bytes() const { return problem_.type == LogitType::fp32 ? 4 : 2; }

  static std::int64_t integer(const std::uint8_t* bytes, std::size_t count) {
    std::int64_t value = 0;
    std::memcpy(&value, bytes, count);
    return value;
  }

  // Rows of several kinds in turns: ordinary ones, ties, numbers of every size, what is not finite, all equal.
  void draw_row(int row, Random& random) {
    constexpr float kInf = std::numeric_limits<float>::infinity();
    const float nan = std::nanf("");
    const float ties[] = {-1.0F, -0.0F, 0.0F, 0.5F, 2.0F};
    const float hard[] = {nan, -nan, kInf, -kInf, 0.0F, -0.0F, 1e-42F, -1e-42F, 6e-8F, 3e38F, -3e38F, 60000.0F, 1.0F};
    const float constant[] = {-kInf, nan, 0.25F, -200.0F};
    for (int e = 0; e < problem_.experts; ++e) {
      const auto normal = static_cast<float>(random.normal());
      switch (row % 8) {
        case 0:
        case 1:
          logits_.push_back(normal);
          break;
        case 2:
        case 3:
          logits_.push_back(ties[random.below(5)]);
          break;
        case 4:
          logits_.push_back(normal * 30.0F);
          break;
        case 5:
          logits_.push_back(random.below(8) == 0 ? hard[3 + random.below(10)] : normal);
          break;
        case 6:
          logits_.push_back(hard[random.below(13)]);
          break;
        default:
          logits_.push_back(constant[row / 8 % 4]);
      }
    }
  }

  // Writes the logits in their type, and keeps what they are then.
  void encode() {
    const std::size_t stride = experts() + static_cast<std::size_t>(problem_.gap);
    const auto rows = static_cast<std::size_t>(problem_.rows);
    const auto offset = static_cast<std::size_t>(problem_.offset);
    if (rows == 0) return;
    bytes_.resize((offset + (rows - 1) * stride + experts()) * logit_bytes());  // and not a byte beyond the last row
    for (std::size_t i = 0; i < logits_.size(); ++i) {
      std::uint8_t* place = &bytes_[(offset + i / experts() * stride + i % experts()) * logit_bytes()];
      float& x = logits_[i];
      if (problem_.type == LogitType::fp32) {
        std::memcpy(place, &x, 4);
      } else if (problem_.type == LogitType::fp16) {
        const std::uint16_t bits = half_bits(x);
        x = static_cast<float>(half_value(bits));
        std::memcpy(place, &bits, 2);
      } else {
        const std::uint16_t bits = bfloat16_bits(x);
        x = std::bit_cast<float>(std::uint32_t{bits} << 16);
        std::memcpy(place, &bits, 2);
      }
    }
  }

  Problem problem_;
  std::vector<float> logits_;  // [rows, experts]
  std::vector<float> bias_;    // [experts] or empty
  std::vector<std::uint8_t> bytes_;
};

}  // namespace routesig::cuda
